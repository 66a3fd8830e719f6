/** What runs in GraphiQL's page: sends operations over HTTP and subscriptions over WebSocket, as whoever signed in last here. */
import { createClient } from './client.js'
import { oneOperation } from './one-operation.js'

const ASSETS = new URL('.', import.meta.url).pathname
const MAX_EARLIER = 100
const ENDPOINT = new URL('/graphql', location.href)

self.MonacoEnvironment = {
  globalAPI: false,
  getWorkerUrl: (_module, label) => `${ASSETS}${{ graphql: 'graphql', json: 'json' }[label] ?? 'editor'}-worker.js`,
}

/** Kept for this browser tab only. */
const remember = (name, value) => sessionStorage.setItem(`sluice:${name}`, value)
const recall = (name) => sessionStorage.getItem(`sluice:${name}`) ?? undefined

/** A token from `signIn` and the last ids that were seen are used by the operations after: see the examples' comments. */
function learn(value) {
  if (typeof value !== 'object' || value === null) return
  if (typeof value.accessToken === 'string') remember('accessToken', value.accessToken)
  if (typeof value.id === 'string' && value.id.startsWith('exec_')) remember('executionId', value.id)
  if (typeof value.id === 'string' && value.id.startsWith('ask_')) remember('requestId', value.id)
  Object.values(value).forEach(learn)
}

/** A variable left empty takes what was remembered under its name. */
function fill(variables) {
  const entries = Object.entries(variables ?? {})
  return Object.fromEntries(entries.map(([name, value]) => [name, value === '' ? (recall(name) ?? value) : value]))
}

/** What stands in the headers editor wins. */
function authorizationOf(headers = {}) {
  const given = Object.entries(headers).find(([name]) => name.toLowerCase() === 'authorization')?.[1]
  const token = recall('accessToken')
  return given ?? (token && `Bearer ${token}`)
}

async function send(params, headers) {
  const authorization = authorizationOf(headers)
  const response = await fetch(ENDPOINT, {
    method: 'POST',
    headers: {
      ...headers,
      accept: 'application/graphql-response+json',
      'content-type': 'application/json',
      ...(authorization && { authorization }),
    },
    body: JSON.stringify(params),
  })
  const answer = await response.json()
  if (answer.errors?.some(({ extensions }) => extensions?.code === 'UNAUTHENTICATED'))
    sessionStorage.removeItem('sluice:accessToken')
  learn(answer.data)
  return answer
}

/** GraphiQL shows one answer at a time: the ones before stand below the newest. */
async function* watch(params, headers) {
  const client = createClient({
    url: Object.assign(new URL(ENDPOINT), { protocol: ENDPOINT.protocol.replace('http', 'ws') }).href,
    connectionParams: () => ({ authorization: authorizationOf(headers) }),
    // also where nobody accepts: the server restarts
    shouldRetry: () => true,
  })
  const earlier = []
  try {
    for await (const answer of client.iterate(params)) {
      learn(answer.data)
      yield earlier.length > 0 ? { ...answer, earlier: [...earlier] } : answer
      earlier.unshift(answer.data)
      earlier.splice(MAX_EARLIER)
    }
  } catch (error) {
    if (!(error instanceof CloseEvent)) throw error
    const hint = error.code === 4401 || error.code === 4403 ? ': sign in first' : ''
    yield { errors: [{ message: `The server closed the socket (${error.code} ${error.reason})${hint}.` }], earlier }
  } finally {
    client.dispose()
  }
}

function fetcher({ query, operationName, variables }, { headers, documentAST } = {}) {
  const operations = documentAST?.definitions.filter(({ kind }) => kind === 'OperationDefinition') ?? []
  const operation = operations.find(({ name }) => name?.value === operationName) ?? operations[0]
  const text = operations.length > 1 ? oneOperation(operation, documentAST, query) : query
  const params = { query: text, operationName, variables: fill(variables) }
  return operation?.operation === 'subscription' ? watch(params, headers) : send(params, headers)
}

const examples = await (await fetch(`${ASSETS}examples.json`)).json()
YogaGraphiQL.renderYogaGraphiQL(document.querySelector('#root'), {
  title: 'Sluice',
  fetcher,
  defaultTabs: examples,
  shouldPersistHeaders: false,
})
