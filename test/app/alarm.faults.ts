/** Two whole servers on one database notice an attack together: one event, told once the webhook answers, whoever was killed meanwhile. */
import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { dataDirectory, startServerProcess } from '../harness/server-process.ts'
import type { ServerProcess } from '../harness/server-process.ts'
import { testDatabase } from '../harness/test-database.ts'
import { RawSocket } from '../server/test-server.ts'

const SECRET = randomBytes(48).toString('base64url')
const PASSWORD = 'Correct-horse-1'
const { env, database } = await testDatabase()

let healthy = false
const told: string[] = []
const receiver = createServer((request, response) => {
  let body = ''
  request.on('data', (chunk: Buffer) => (body += chunk.toString()))
  request.on('end', () => {
    if (healthy) told.push(body)
    response.writeHead(healthy ? 204 : 503).end()
  })
})
await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve))
afterAll(() => receiver.close())

const settings = {
  ...env,
  ...{ SLUICE_JWT_SECRET: SECRET, SLUICE_ADMIN_PASSWORD: PASSWORD, SLUICE_LIMIT_SIGN_IN_PER_MINUTE: '10000' },
  // one window, whenever the test runs
  ...{ SLUICE_SECURITY_SIGN_IN_FAILURES: '10', SLUICE_SECURITY_WINDOW_MS: '86400000', SLUICE_SECURITY_WRONG_TOKENS: '10' },
  SLUICE_ALERT_WEBHOOK_URL: `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/alerts`,
  SLUICE_ALERT_WEBHOOK_SECRET: randomBytes(48).toString('base64url'),
}
let here: ServerProcess
let there: ServerProcess

beforeAll(async () => {
  here = await startServerProcess(await dataDirectory(), settings)
  there = await startServerProcess(await dataDirectory(), settings)
}, 180_000)

const ask = (server: ServerProcess, query: string, token?: string) =>
  fetch(`${server.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
    body: JSON.stringify({ query }),
  }).then((answer) => answer.json() as Promise<{ data: { [field: string]: unknown } }>)

const signIn = (server: ServerProcess, password: string) =>
  ask(
    server,
    `mutation { signIn(input: { email: "admin@sluice.local", password: "${password}" }) { ... on SignInSuccess { accessToken } } }`,
  )

interface Row {
  subject_kind: string
  count: number
  alerted_at: Date | null
}
const stored = (kind: string) =>
  database.query<Row>(
    `select subject_kind, count::int, alerted_at from sluice.security_events where kind = $1 and subject_kind <> 'EVERYBODY' order by subject_kind`,
    [kind],
  )

test('guesses at both servers are one event each about the address and the account; a killed server loses no alert (C8, B14)', async () => {
  for (let guess = 0; guess < 6; guess++) {
    await signIn(here, 'a guess')
    await signIn(there, 'a guess')
  }
  await vi.waitFor(
    async () =>
      expect(await stored('SIGN_IN_FAILURES')).toMatchObject([
        { subject_kind: 'ADDRESS', count: 12, alerted_at: null },
        { subject_kind: 'USER', count: 12, alerted_at: null },
      ]),
    { timeout: 20_000, interval: 100 },
  )
  const [rows] = await database.query<{ count: number }>(
    `select count(*)::int as count from sluice.audit_events where type = 'security.signInFailures' and metadata ->> 'subjectKind' <> 'EVERYBODY'`,
  )
  expect(rows).toEqual({ count: 2 })

  await here.end('SIGKILL')
  healthy = true
  await database.query('update sluice.security_events set alert_due_at = now() where alert_due_at is not null')
  await vi.waitFor(() => expect(told.length).toBeGreaterThanOrEqual(2), { timeout: 20_000, interval: 100 })
  await vi.waitFor(async () =>
    expect((await stored('SIGN_IN_FAILURES')).every(({ alerted_at }) => alerted_at !== null)).toBe(true),
  )
  const kinds = told.map((body) => (JSON.parse(body) as { kind: string; subject: { kind: string } }).subject.kind)
  expect(kinds).toEqual(expect.arrayContaining(['ADDRESS', 'USER']))
  expect(told.join()).not.toContain('127.0.0.1')
}, 180_000)

test('wrong tokens raise the alarm that administrators follow on a socket (C8, B14)', async () => {
  const { data } = await signIn(there, PASSWORD)
  const { accessToken } = data['signIn'] as { accessToken: string }
  const socket = await new RawSocket(`${there.url.replace('http', 'ws')}/graphql`).open(`Bearer ${accessToken}`)
  socket.subscribe(
    'alarm',
    `subscription { auditFeed(filter: { security: true }) { __typename ... on AuditDelta { events { type ip } } } }`,
  )
  expect(await socket.next('next', 'alarm')).toMatchObject({
    payload: { data: { auditFeed: { __typename: 'AuditSnapshot' } } },
  })
  for (let guess = 0; guess < 10; guess++) await ask(there, '{ viewer { id } }', `guess-${guess}`)
  const isAlarm = (message: { payload?: unknown }) => JSON.stringify(message.payload ?? '').includes('security.wrongTokens')
  // alarms of before may come with it
  const events = expect.arrayContaining([expect.objectContaining({ type: 'security.wrongTokens', ip: '127.0.0.1' })])
  expect((await socket.heard(isAlarm)).payload).toMatchObject({ data: { auditFeed: { __typename: 'AuditDelta', events } } })
}, 180_000)

test('whoever is no administrator any more loses the alarm within a second (B11)', async () => {
  const { data } = await signIn(there, PASSWORD)
  const { accessToken } = data['signIn'] as { accessToken: string }
  const made = await ask(
    there,
    `mutation { createUser(input: { email: "second@example.com", handle: "second", name: "S", password: "${PASSWORD}", role: ADMIN }) {
      ... on CreateUserSuccess { user { id } } } }`,
    accessToken,
  )
  const { user } = made.data['createUser'] as { user: { id: string } }
  const second = await ask(
    there,
    `mutation { signIn(input: { email: "second@example.com", password: "${PASSWORD}" }) { ... on SignInSuccess { accessToken } } }`,
  )
  const socket = await new RawSocket(`${there.url.replace('http', 'ws')}/graphql`).open(
    `Bearer ${(second.data['signIn'] as { accessToken: string }).accessToken}`,
  )
  socket.subscribe('alarm', 'subscription { auditFeed { __typename ... on FeedClosed { reason } } }')
  await socket.next('next', 'alarm')
  await ask(
    there,
    `mutation { updateUser(input: { id: "${user.id}", expectedVersion: 1, role: USER }) { __typename } }`,
    accessToken,
  )
  const answeredAt = performance.now()
  await socket.next('complete', 'alarm')
  expect(performance.now() - answeredAt).toBeLessThan(1_000)
  const last = socket.received.findLast(({ type }) => type === 'next')
  expect(last?.payload).toMatchObject({ data: { auditFeed: { __typename: 'FeedClosed', reason: 'ACCESS_REVOKED' } } })
}, 180_000)
