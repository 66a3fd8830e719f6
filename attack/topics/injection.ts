/** Text that would be code somewhere: SQL, templates, expressions, GraphQL, JSON paths, regular expressions, shells. */
import { codeOf } from '../trial.ts'
import type { Topic } from '../trial.ts'
import { waitingFlow } from '../world.ts'

const SQL = [
  "'; DROP TABLE sluice.flows; --",
  "' OR '1'='1",
  "x' UNION SELECT password_hash FROM sluice.users --",
  "'; select pg_sleep(5); --",
  '"; drop schema sluice cascade; --',
  '$1; delete from sluice.users',
  '%',
  '_%',
  '\\',
  "E'\\x27'",
  '{"$gt": ""}',
  '$$; select 1; $$',
  '1) or pg_sleep(5) is null or (1=1',
]
const SLEPT_MS = 4_500

/** Expressions that would leave CEL. */
const EXPRESSIONS = [
  'process.exit(1)',
  'globalThis.process.env',
  "''.constructor.constructor('return process')()",
  'input.constructor',
  'input["constructor"]["prototype"]',
  'input.__proto__.polluted',
  "require('fs').readFileSync('/etc/passwd')",
  "import('node:fs')",
  'eval("1")',
  'this',
  '(() => 1)()',
  '`${1}`',
  'steps.constructor',
  'execution.constructor',
  "input.said.matches('(a+)+$')",
  '[1,2,3].map(x, x.constructor)',
  'type(input).constructor',
  'dyn(input).toString()',
  '1; 2',
  '\u0000',
]

export const injection: Topic = {
  name: 'injection',
  about: 'SQL, templates, expressions, documents, in names, filters, cursors, ids, labels and inputs',
  async run({ world, attempt }) {
    const { client, attacker, victim } = world
    const { token } = attacker
    const count = async (): Promise<number> => {
      const { data } = await client.send(
        '{ executions(first: 100) { edges { node { id } } } flows(first: 100) { edges { node { id } } } }',
        { token },
      )
      return data.executions.edges.length + data.flows.edges.length
    }
    const visible = await count()

    const PLACES: Record<
      string,
      (text: string) => Promise<{ data?: unknown; errors: never[] | readonly object[]; ms: number; text: string }>
    > = {
      'an id': (text) =>
        client.send('query ($id: ID!) { execution(id: $id) { id } node(id: $id) { id } }', { token, variables: { id: text } }),
      'a name': (text) => client.send('query ($name: String) { flow(name: $name) { id } }', { token, variables: { name: text } }),
      'a filter': (text) =>
        client.send(
          'query ($t: String) { flows(first: 100, filter: { name: $t, owner: $t }) { edges { node { id } } } executions(first: 100, filter: { flow: $t, label: { key: $t, value: $t } }) { edges { node { id } } } agentRequests(first: 100, filter: { role: $t }) { edges { node { id } } } }'.replaceAll(
            'key: $t, value: $t',
            'key: "x", value: "x"',
          ),
          { token, variables: { t: text } },
        ),
      'a cursor': (text) =>
        client.send('query ($c: String) { executions(first: 5, after: $c) { edges { node { id } } } }', {
          token,
          variables: { c: text },
        }),
      'a cursor in base64': (text) =>
        client.send('query ($c: String) { flows(first: 5, after: $c) { edges { node { id } } } }', {
          token,
          variables: { c: Buffer.from(text).toString('base64url') },
        }),
      'an e-mail and a password': (text) =>
        client.send('mutation ($i: SignInInput!) { signIn(input: $i) { __typename } }', {
          variables: { i: { email: text, password: text } },
        }),
      'an idempotency key': (text) =>
        client.send('mutation ($i: StartExecutionInput!) { startExecution(input: $i) { __typename } }', {
          token,
          variables: { i: { flow: 'nothing', idempotencyKey: text } },
        }),
      'an enum': (text) =>
        client.send('query ($o: ExecutionOrder!) { executions(first: 1, orderBy: $o) { edges { node { id } } } }', {
          token,
          variables: { o: text },
        }),
      'a date': (text) =>
        client.send('query ($d: DateTime) { executions(first: 100, filter: { createdAfter: $d }) { edges { node { id } } } }', {
          token,
          variables: { d: text },
        }),
      'a header': (text) =>
        client.send('{ viewer { id } }', {
          token,
          headers: { 'user-agent': text.replaceAll(/[^\x20-\x7e]/g, ''), 'x-request-id': text.replaceAll(/[^\x20-\x7e]/g, '') },
        }),
      'the operation': (text) =>
        client.send('', { token, body: JSON.stringify({ query: `{ flow(name: "${text}") { id } }`, operationName: text }) }),
    }
    for (const [place, send] of Object.entries(PLACES)) {
      await attempt(`SQL in ${place}`, async () => {
        for (const text of SQL) {
          const answer = await send(text)
          if (answer.ms > SLEPT_MS) return `${text} took ${answer.ms.toFixed(0)} ms`
          if (JSON.stringify(answer.errors).includes('INTERNAL')) return `${text} broke it`
          if (/syntax error at or near|postgres|sqlstate|relation "|column "/i.test(answer.text))
            return `${text}: ${answer.text.slice(0, 200)}`
          if (!/header/.test(place) && /"id":"(exec|flow)_/.test(answer.text)) return `${text} found something`
        }
        return undefined
      })
    }
    await attempt('a name that is SQL is stored and found as it is', async () => {
      const name = SQL[0]!
      const made = await client.mutate(token, 'createFlow', { definition: waitingFlow(name) }, 'flow { id name }')
      if (made.__typename !== 'CreateFlowSuccess') return `it was refused: ${JSON.stringify(made)}`
      const { data } = await client.send('query ($name: String) { flow(name: $name) { name } }', { token, variables: { name } })
      if (data?.flow?.name !== name) return 'it is not found'
      return (await count()) === visible + 1 ? undefined : 'something else is gone'
    })
    for (const expression of EXPRESSIONS) {
      await attempt(`an expression: ${JSON.stringify(expression)}`, async () => {
        const steps = { one: { type: 'transform', set: { got: `\${{ ${expression} }}` } } }
        const made = await client.mutate(
          token,
          'createFlow',
          { definition: { version: 1, name: `e${Math.random().toString(36).slice(2)}`, input: { type: 'object' }, steps } },
          'flow { id }',
        )
        if (made.__typename !== 'CreateFlowSuccess') return undefined
        const run = await client.mutate(
          token,
          'startExecution',
          { flow: made.flow.id, input: { said: 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!' }, waitMs: 5_000 },
          'execution { status output state }',
        )
        const shown = JSON.stringify(run.execution?.state?.steps ?? null)
        return /function|native code|root:|PATH|\[object/.test(shown) ? `it gave ${shown.slice(0, 200)}` : undefined
      })
    }
    await attempt('what looks like a template in an input stays text', async () => {
      const said = '${{ 1 + 1 }} {{7*7}} ${7*7} <%= 7*7 %> #{7*7}'
      const run = await client.mutate(
        token,
        'startExecution',
        { flow: 'mine', input: { said }, waitMs: 2_000 },
        'execution { id input state }',
      )
      return run.execution?.input?.said === said && !JSON.stringify(run.execution.state).includes('49')
        ? undefined
        : JSON.stringify(run)
    })
    await attempt('code in names and metadata (C3)', async () => {
      const hostile = ['__proto__', 'constructor', 'eval(1)', 'a b', 'process.exit()', '../x', 'x;y', '${{ 1 }}', 'ａdmin', '']
      for (const name of hostile) {
        const definition = JSON.parse(
          JSON.stringify(waitingFlow('named')).replace('"ask":', `${JSON.stringify(name)}:`),
        ) as object
        const made = await client.mutate(token, 'createFlow', { definition })
        if (made.__typename === 'CreateFlowSuccess') return `a step named ${JSON.stringify(name)} was taken`
      }
      return undefined
    })
    await attempt('a document inside a variable', async () => {
      const { data, ...answer } = await client.send('query ($name: String) { flow(name: $name) { id } }', {
        token,
        variables: { name: `") { id } viewer { email } x: flow(name: "` },
      })
      return data?.viewer || codeOf(answer) === 'INTERNAL' ? 'it ran' : undefined
    })
    await attempt('a picture with markup', async () => {
      const name = `<script>alert(1)</script>${victim.handle}`
      const made = await client.mutate(
        token,
        'createFlow',
        { definition: { ...waitingFlow(name), description: '"><img src=x onerror=alert(1)>' } },
        'flow { picture(format: SVG) }',
      )
      return /<script|onerror=/.test(made.flow?.picture ?? '') ? 'the picture has it' : undefined
    })
  },
}
