/** What the doors tell the audit log beside refusals: uses, and what administrators read. */
import { GraphQLObjectType, GraphQLSchema, GraphQLString } from 'graphql'
import { expect, test } from 'vitest'
import type { Context } from '../../src/api/context.ts'
import type { AuditEntry } from '../../src/audit/audit-entry.ts'
import type { Call } from '../../src/operations/call.ts'
import { noteOther } from '../../src/operations/audit/note-reads.ts'
import { auditKeys } from '../harness/audit-keys.ts'
import { codeOf, post, principal, RawSocket, serve } from './test-server.ts'

test('each operation of either door is told as a use, the frames of a subscription are not (B14)', async () => {
  const uses: (string | undefined)[] = []
  const { url, socketUrl, events } = await serve({ noteUse: ({ principal: who }) => uses.push(who?.kind) })
  await post(url, '{ hello }', { token: 'key' })
  await post(url, '{ nothing }', { token: 'key' })
  await post(url, '{ hello }', { token: 'user' })
  expect(uses).toEqual(['API_KEY', 'API_KEY', 'USER'])

  const socket = await new RawSocket(socketUrl).open('Bearer key')
  socket.subscribe('1', 'subscription { events }')
  await events.opened.promise
  for (const frame of ['a', 'b', 'c']) {
    events.send(frame)
    await socket.heard(({ payload }) => String(JSON.stringify(payload)).includes(`${frame} for`))
  }
  expect(uses).toEqual(['API_KEY', 'API_KEY', 'USER', 'API_KEY'])
})

/** A schema whose one field shows what only administrators see. */
const field = {
  type: GraphQLString,
  resolve: (_root: unknown, _args: unknown, call: Call) => (noteOther(call, 'mails', 2), 'shown'),
}
const schema = new GraphQLSchema({ query: new GraphQLObjectType({ name: 'Query', fields: { shown: field } }) })

test('what an administrator reads is told before the answer, and not shown when that fails (C7)', async () => {
  const written: AuditEntry[] = []
  let away = false
  const writeAudit = async (entry: AuditEntry) => {
    if (away) throw new Error('the database is away')
    written.push(entry)
  }
  const services = { writeAudit, auditKeys, security: { count: () => undefined }, database: { clock: { now: () => 0 } } }
  const makeCall = (caller: object) => ({ ...caller, services }) as unknown as Context
  const makeFrameCall = () => {
    throw new Error('no feeds here')
  }
  const { url } = await serve({ schema, calls: { makeCall, makeFrameCall } })
  expect(await post(url, '{ shown }', { token: 'admin' })).toMatchObject({ status: 200, data: { shown: 'shown' } })
  expect(written).toMatchObject([{ type: 'admin.read', actorId: principal().id, metadata: { mails: 2 } }])
  await post(url, '{ shown }', { token: 'user' })
  expect(written).toHaveLength(1)

  away = true
  const refused = await post(url, '{ shown }', { token: 'admin' })
  expect(refused).toMatchObject({ status: 503 })
  expect(refused.data).toBeUndefined()
  expect(codeOf(refused)).toBe('UNAVAILABLE')
})
