/** The operator's webhook is told of each security event: signed, again until it answers, and nobody waits for it. */
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Registry } from 'prom-client'
import { afterAll, beforeEach, expect, test, vi } from 'vitest'
import { AuditEvent } from '../../src/audit/entities/audit-event.ts'
import { SecurityEvent } from '../../src/audit/entities/security-event.ts'
import { signAlert } from '../../src/audit/alert-signature.ts'
import { createAlertWebhook } from '../../src/audit/alert-webhook.ts'
import { createSecurityRoom } from '../../src/audit/security-room.ts'
import { encodeId, newUuid } from '../../src/ids.ts'
import { createLog } from '../../src/log.ts'
import { createGuardedClient } from '../../src/outbound/guarded-client.ts'
import { auditKeys } from '../harness/audit-keys.ts'
import { NO_SECURITY_EVENTS } from '../harness/security-limits.ts'
import { testDatabase } from '../harness/test-database.ts'

const { database, ownerQuery } = await testDatabase({ entities: [AuditEvent, SecurityEvent] })
const SECRET = 'the secret that the receiver has too, made by chance'
const log = createLog('silent')

interface Told {
  headers: IncomingHttpHeaders
  body: string
}
let told: Told[] = []
let answer: number | 'nothing' = 204
const receiver = createServer((request, response) => {
  let body = ''
  request.on('data', (chunk: Buffer) => (body += chunk.toString()))
  request.on('end', () => {
    told.push({ headers: request.headers, body })
    if (answer !== 'nothing') response.writeHead(answer).end()
  })
})
await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve))
const host = `127.0.0.1:${(receiver.address() as AddressInfo).port}`
const url = `http://${host}/alerts?token=of-the-receiver`
afterAll(() => {
  receiver.closeAllConnections()
  return new Promise((resolve) => receiver.close(resolve))
})

beforeEach(async () => {
  await ownerQuery('delete from sluice.security_events')
  told = []
  answer = 204
})

function room() {
  const registry = new Registry()
  const limits = { ...NO_SECURITY_EVENTS, refusals: 2, webhookUrl: url, webhookSecret: SECRET }
  const one = createSecurityRoom({ database, keys: auditKeys, limits, addressOf: (ip) => ip ?? '', registry, log })
  return { ...one, metric: (name: string) => registry.getSingleMetricAsString(name) }
}

/** A webhook whose tries are driven. */
function webhook() {
  const client = createGuardedClient({ allow: [host], ports: [] })
  return createAlertWebhook({ database, url, secret: SECRET, client, log })
}

async function raise(): Promise<string> {
  const subject = newUuid()
  const { watch } = room()
  watch.count('REFUSALS', [{ kind: 'USER', id: subject }], 2)
  await watch.runOnce()
  return subject
}

const stored = () => database.fork().find(SecurityEvent, {})
const becomeDue = () => ownerQuery('update sluice.security_events set alert_due_at = now() where alert_due_at is not null')

/** What docs/security-events.md tells receivers to do. */
interface Receiver {
  isGenuine(header: string | undefined, body: string, secret: string): boolean
}
const [, code = ''] = /^```js receiver\n([^]*?)^```$/m.exec(readFileSync('docs/security-events.md', 'utf8')) ?? []
const shown = (await import(`data:text/javascript,${encodeURIComponent(code)}`)) as Receiver
const isGenuine = ({ headers, body }: Told, secret = SECRET): boolean =>
  shown.isGenuine(headers['sluice-signature'] as string | undefined, body, secret)

test('an event is told once it is stored, signed, with ids and no contents, at an address where steps may not reach (C8)', async () => {
  const one = room()
  one.start()
  const subject = newUuid()
  one.watch.count('REFUSALS', [{ kind: 'USER', id: subject }], 3)
  await one.watch.runOnce()
  await vi.waitFor(() => expect(told).toHaveLength(1), { timeout: 9_000 })
  const [alert] = told
  expect(isGenuine(alert!)).toBe(true)
  expect(isGenuine({ ...alert!, body: alert!.body.replace('REFUSALS', 'BULK_READS') })).toBe(false)
  expect(isGenuine(alert!, 'another secret')).toBe(false)
  expect(isGenuine({ ...alert!, headers: {} })).toBe(false)
  const old = signAlert(SECRET, alert!.body, Math.floor(Date.now() / 1_000) - 600)
  expect(isGenuine({ ...alert!, headers: { 'sluice-signature': old } })).toBe(false)
  const [event] = await stored()
  expect(JSON.parse(alert!.body)).toEqual({
    ...{ id: encodeId('securityEvent', event!.id), auditEvent: encodeId('auditEvent', event!.id), type: 'security.refusals' },
    ...{ kind: 'REFUSALS', severity: 'WARNING', subject: { kind: 'USER', id: encodeId('user', subject) }, count: 3 },
    ...{ firstAt: event!.firstAt.toISOString(), lastAt: event!.lastAt.toISOString() },
  })
  await vi.waitFor(async () => expect((await stored())[0]).toMatchObject({ alertDueAt: null, alertedAt: expect.any(Date) }))
  await one.stop()
  expect(await one.metric('sluice_security_alerts_total')).toContain('sluice_security_alerts_total{outcome="sent"} 1')
  expect(await one.metric('sluice_security_events_total')).toContain('{kind="REFUSALS",severity="WARNING"} 1')
})

test('addresses stay here', async () => {
  const { watch } = room()
  watch.count('REFUSALS', [{ kind: 'ADDRESS', id: '192.0.2.9' }], 2)
  await watch.runOnce()
  await webhook().runOnce()
  expect(JSON.parse(told[0]!.body)).toMatchObject({ subject: { kind: 'ADDRESS', id: null } })
})

test('what is not taken is told again, later and later, and by whoever runs then: a restart forgets nothing', async () => {
  answer = 503
  await raise()
  await webhook().runOnce()
  await webhook().runOnce()
  expect(told).toHaveLength(1)
  expect((await stored())[0]).toMatchObject({ alertAttempts: 1, alertedAt: null })

  await becomeDue()
  answer = 200
  await webhook().runOnce()
  expect(told).toHaveLength(2)
  expect(told[1]!.body).toBe(told[0]!.body)
  expect((await stored())[0]).toMatchObject({ alertAttempts: 2, alertDueAt: null, alertedAt: expect.any(Date) })
  await becomeDue()
  await webhook().runOnce()
  expect(told).toHaveLength(2)
})

test('processes share what is to be told: each event is taken by one', async () => {
  for (let event = 0; event < 30; event++) await raise()
  const processes = [webhook(), webhook(), webhook()]
  await Promise.all(processes.map((one) => one.runOnce()))
  expect(new Set(told.map(({ body }) => body)).size).toBe(30)
  expect(told).toHaveLength(30)
})

test('a receiver that never answers holds up nothing: events are raised, and stopping does not wait for it', async () => {
  answer = 'nothing'
  const one = room()
  one.start()
  one.watch.count('REFUSALS', [{ kind: 'USER', id: newUuid() }], 2)
  await one.watch.runOnce()
  await vi.waitFor(() => expect(told).toHaveLength(1), { timeout: 9_000 })
  one.watch.count('REFUSALS', [{ kind: 'USER', id: newUuid() }], 2)
  await one.watch.runOnce()
  expect(await stored()).toHaveLength(2)
  const before = performance.now()
  await one.stop()
  expect(performance.now() - before).toBeLessThan(5_000)
  expect(await stored()).toMatchObject([{ alertedAt: null }, { alertedAt: null }])
})

test('after two days of tries an alert is given up, and its event stays', async () => {
  answer = 500
  await raise()
  await ownerQuery('update sluice.security_events set alert_attempts = 51')
  await webhook().runOnce()
  expect((await stored())[0]).toMatchObject({ alertAttempts: 52, alertDueAt: null, alertedAt: null })
})

test('a redirect is not followed: what is told is for the receiver alone', async () => {
  answer = 307
  await raise()
  await webhook().runOnce()
  expect((await stored())[0]).toMatchObject({ alertedAt: null, alertAttempts: 1 })
})
