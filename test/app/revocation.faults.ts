/** Two whole servers on one database: what ends at one ends at the other within a second (B11). */
import { randomBytes } from 'node:crypto'
import { beforeAll, expect, test } from 'vitest'
import { decodeId } from '../../src/ids.ts'
import { createTokens } from '../../src/identity/tokens.ts'
import { dataDirectory, startServerProcess } from '../harness/server-process.ts'
import type { ServerProcess } from '../harness/server-process.ts'
import { testDatabase } from '../harness/test-database.ts'
import { RawSocket } from '../server/test-server.ts'

const WITHIN_MS = 1_000
const ADMIN = { email: 'admin@sluice.local', password: 'Correct-horse-1' }
const SECRET = randomBytes(48).toString('base64url')

const START = `mutation { startExecution(input: { flow: "feature_approval", input: { feature_name: "x", estimated_cost: 2000000 }, waitMs: 5000 }) {
  ... on StartExecutionSuccess { execution { id status } } } }`

const { env, database } = await testDatabase()
let here: ServerProcess
let there: ServerProcess
let admin: Ask
let watched: string

// what a document asks for is what its test reads
// oxlint-disable-next-line no-explicit-any
type Ask = (query: string, variables?: object) => Promise<any>

beforeAll(async () => {
  const settings = {
    ...env,
    SLUICE_JWT_SECRET: SECRET,
    SLUICE_ADMIN_PASSWORD: ADMIN.password,
    SLUICE_LIMIT_SIGN_IN_PER_MINUTE: '10000',
  }
  here = await startServerProcess(await dataDirectory(), settings)
  there = await startServerProcess(await dataDirectory(), settings)
  const { accessToken } = await signIn(ADMIN)
  admin = as(accessToken)
  const { startExecution } = await admin(START)
  expect(startExecution.execution.status).toBe('WAITING')
  watched = startExecution.execution.id
}, 180_000)

/** At the first server, unless another is named. */
const as =
  (accessToken: string | undefined, server = here): Ask =>
  async (query, variables = {}) => {
    const headers = { 'content-type': 'application/json', ...(accessToken && { authorization: `Bearer ${accessToken}` }) }
    const body = JSON.stringify({ query, variables })
    const answer = await fetch(`${server.url}/graphql`, { method: 'POST', headers, body })
    const { data, errors } = (await answer.json()) as { data: unknown; errors?: { extensions: { code: string } }[] }
    if (errors) throw new Error(errors[0]!.extensions.code)
    return data
  }

async function signIn({ email, password }: { email: string; password: string }) {
  const query = 'mutation ($input: SignInInput!) { signIn(input: $input) { ... on SignInSuccess { accessToken viewer { id } } } }'
  return (await as(undefined)(query, { input: { email, password } })).signIn as { accessToken: string; viewer: { id: string } }
}

let number = 0
/** Somebody new, signed in at the first server, with a quiet socket at the second one that follows an execution. */
async function watcher(role = 'ADMIN') {
  number += 1
  const input = { email: `w${number}@example.com`, handle: `w${number}`, name: 'W', password: 'Correct-horse-1', role }
  await admin('mutation ($input: CreateUserInput!) { createUser(input: $input) { __typename } }', { input })
  const { accessToken, viewer } = await signIn(input)
  return { ...input, id: viewer.id, accessToken, socket: await follow(accessToken), ask: as(accessToken) }
}
type Watcher = Awaited<ReturnType<typeof watcher>>

async function follow(accessToken: string): Promise<RawSocket> {
  const socket = await new RawSocket(`${there.url.replace('http', 'ws')}/graphql`).open(`Bearer ${accessToken}`)
  socket.subscribe('feed', `subscription { executionFeed(id: "${watched}") { __typename ... on FeedClosed { reason } } }`)
  await socket.next('next', 'feed')
  return socket
}

/** How long after `change` was answered `ended` came. */
async function lag<T>(change: () => Promise<unknown>, ended: () => Promise<T>): Promise<{ after: number; ended: T }> {
  const done = ended().then((value) => ({ at: performance.now(), value }))
  await change()
  const answeredAt = performance.now()
  const { at, value } = await done
  return { after: at - answeredAt, ended: value }
}

const update = ({ id }: Watcher, changes: object) =>
  admin('mutation ($input: UpdateUserInput!) { updateUser(input: $input) { __typename } }', {
    input: { id, expectedVersion: 1, ...changes },
  })
const again = async ({ email, password }: Watcher) => as((await signIn({ email, password })).accessToken)

test.each<[string, (who: Watcher) => Promise<unknown>]>([
  ['signing out', ({ ask }) => ask('mutation { signOut(input: {}) { __typename } }')],
  [
    'signing out everywhere, elsewhere',
    async (who) => (await again(who))('mutation { signOut(input: { everywhere: true }) { __typename } }'),
  ],
  [
    'revoking the session, elsewhere',
    async (who) => {
      const other = await again(who)
      const { viewer } = await other('{ viewer { sessions { edges { node { id current } } } } }')
      const [{ node }] = viewer.sessions.edges.filter((edge: { node: { current: boolean } }) => !edge.node.current)
      await other('mutation ($id: ID!) { revokeSession(input: { id: $id }) { __typename } }', { id: node.id })
    },
  ],
  [
    'changing the password, elsewhere',
    async (who) => {
      const change = `mutation { changePassword(input: { currentPassword: "${who.password}", newPassword: "Better-horse-2" }) { __typename } }`
      await (
        await again(who)
      )(change)
    },
  ],
  ['a new password by an administrator', (who) => update(who, { password: 'Better-horse-2' })],
  ['disabling the user', (who) => update(who, { disabled: true })],
  [
    'deleting the user',
    ({ id }) => admin('mutation ($id: ID!) { deleteUser(input: { id: $id, expectedVersion: 1 }) { __typename } }', { id }),
  ],
])('%s ends a quiet socket at another server with 4401 within a second, and its token there (B1, B11)', async (_how, change) => {
  const who = await watcher()
  const { after, ended } = await lag(
    () => change(who),
    () => who.socket.closed,
  )
  expect(ended.code).toBe(4401)
  expect(after).toBeLessThan(WITHIN_MS)
  await expect(as(who.accessToken, there)('{ viewer { id } }')).rejects.toThrow('UNAUTHENTICATED')
  await expect(as(who.accessToken)('{ viewer { id } }')).rejects.toThrow('UNAUTHENTICATED')
})

test('a role that is taken away takes what it showed off a feed of many things, at another server within a second (B4, B11)', async () => {
  const who = await watcher()
  const fields = '__typename ... on ExecutionsSnapshot { executions { id } } ... on ExecutionsDelta { executions { id } }'
  who.socket.subscribe('wall', `subscription { executionsFeed { ${fields} } }`)
  const first = await who.socket.next('next', 'wall')
  expect(first.payload.data.executionsFeed.executions).not.toEqual([])
  const frames = () => who.socket.received.filter(({ type, id }) => type === 'next' && id === 'wall')
  const emptied = () =>
    who.socket.heard(
      (message) => message !== first && frames().includes(message) && JSON.stringify(message).includes('"executions":[]'),
    )
  const { after } = await lag(() => update(who, { role: 'VIEWER' }), emptied)
  expect(after).toBeLessThan(WITHIN_MS)
  const seen = frames().length
  // what happens from now on is not told: the next frame would be another one
  await admin(START)
  who.socket.subscribe('after', '{ viewer { id } }')
  await who.socket.next('next', 'after')
  expect(frames()).toHaveLength(seen)
})

test('a role that is taken away ends the subscriptions it allowed within a second; the socket stays, with the new role (B4, B11)', async () => {
  const who = await watcher()
  const closed = async () => {
    await who.socket.next('complete', 'feed')
    return who.socket.received.findLast(({ type }) => type === 'next')?.payload
  }
  const { after, ended } = await lag(() => update(who, { role: 'VIEWER' }), closed)
  expect(after).toBeLessThan(WITHIN_MS)
  expect(ended).toMatchObject({ data: { executionFeed: { __typename: 'FeedClosed', reason: 'ACCESS_REVOKED' } } })
  who.socket.subscribe('role', '{ viewer { role } }')
  expect((await who.socket.next('next', 'role')).payload.data.viewer.role).toBe('VIEWER')
  who.socket.subscribe('again', `subscription { executionFeed(id: "${watched}") { __typename } }`)
  expect((await who.socket.next('error', 'again')).payload[0].extensions.code).toBe('NOT_FOUND')
})

test('a token that expires closes its socket 4403 within a second, after a frame that says so (B1, B11)', async () => {
  const { id, accessToken } = await watcher()
  const [session] = await database.query<{ id: string }>('select id from sluice.sessions where user_id = $1', [
    decodeId('user', id),
  ])
  // as if it had been issued 29 minutes and 55 seconds ago
  const tokens = createTokens({ signing: SECRET }, { now: () => database.clock.now() - 30 * 60_000 + 5_000 })
  const short = await tokens.issue(decodeId('user', id)!, session!.id)
  const socket = await follow(short.accessToken)
  const { code } = await socket.closed
  const late = database.clock.now() - short.expiresAt
  expect(code).toBe(4403)
  expect(late).toBeGreaterThanOrEqual(0)
  expect(late).toBeLessThan(WITHIN_MS)
  const last = socket.received.findLast(({ type }) => type === 'next')?.payload
  expect(last).toMatchObject({ data: { executionFeed: { __typename: 'FeedClosed', reason: 'TOKEN_EXPIRED' } } })
  // the session goes on: another token of it is good
  await as(accessToken)('{ viewer { id } }')
}, 180_000)
