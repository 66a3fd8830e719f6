import { setTimeout as pause } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { Problem } from '../../src/errors.ts'
import { isProblem } from '../../src/errors.ts'
import { createPostgresBus } from '../../src/fleet/postgres-bus.ts'
import { newUuid } from '../../src/ids.ts'
import { DEFAULT_ROLES } from '../../src/language/roles.ts'
import { createLog } from '../../src/log.ts'
import { effectsFile } from '../harness/effects.ts'
import { storeFlow, testEngine, unwrap } from '../harness/engine.ts'
import { allEnded, breaches } from '../harness/invariants.ts'
import { seededChance } from '../harness/seeded.ts'
import type { Chance } from '../harness/seeded.ts'
import { spawnEngine } from '../harness/spawn-engine.ts'
import type { EngineCall, EngineProcess } from '../harness/spawn-engine.ts'
import { testDatabase } from '../harness/test-database.ts'

const LEASE_MS = 1000
const COMMANDS = 400
const FLOWS = 25

const effects = effectsFile()
const { database, connection, env } = await testDatabase()
const bus = createPostgresBus({ database, connection, log: createLog('fatal') })
const allow = { roles: new Set(DEFAULT_ROLES), handlers: new Set(['near', 'apart']) }
/** only to resume at the end what is still paused */
const api = await testEngine(database, { enabled: false, bus, allow })

/** A random graph: each step may need any of the steps before it, all, any or some of them, or a route of a router before it. */
function randomDefinition(chance: Chance, number: number): object {
  const steps: Record<string, Record<string, unknown>> = {}
  const count = chance.between(1, 7)
  for (let i = 0; i < count; i++) {
    const before = Object.keys(steps)
    const needed = [...new Set(Array.from({ length: chance.between(0, 2) }, () => chance.pick(before)))].filter(
      (name) => name !== undefined,
    )
    steps[`s${i}`] = { ...randomStep(chance), ...randomNeeds(chance, needed, steps) }
  }
  return { name: `random ${number}`, steps, ...(chance.next() < 0.1 && { timeout: 'PT2S' }) }
}

function randomStep(chance: Chance): Record<string, unknown> {
  const told = { effects: '${{ input.effects }}', ms: chance.between(0, 60) }
  const retry = { attempts: chance.between(1, 3), delay: 'PT0.02S' }
  switch (chance.between(0, 12)) {
    case 0:
      return { type: 'transform', set: { n: 1 } }
    case 1:
      return { type: 'wait', duration: `PT${chance.pick([0.02, 0.4, 1.3])}S` }
    case 2:
    case 3:
      return { type: 'agent', role: 'ceo', subject: '?', request: {}, timeout: `PT${chance.pick([0.3, 2, 4])}S` }
    case 4:
      return { type: 'route', cases: [{ when: `input.side == "left"`, to: 'left' }], otherwise: 'right' }
    case 5:
      return { type: 'handler', handler: 'near', with: told, atMostOnce: true }
    case 6:
      return { type: 'handler', handler: 'apart', with: told }
    case 10: {
      const over = Array.from({ length: chance.between(0, 6) }, (_, n) => n)
      const map = { type: 'map', over, parallel: chance.between(1, 3), tolerate: chance.between(0, 2) }
      return { ...map, step: randomInside(chance, told, retry) }
    }
    case 11: {
      const loop = { type: 'loop', times: chance.between(1, 3), delay: `PT${chance.pick([0, 0.05])}S` }
      return { ...loop, step: randomInside(chance, told, retry) }
    }
    case 12:
      return { type: 'flow', flow: 'child', input: { effects: told.effects }, timeout: `PT${chance.pick([0.4, 20])}S` }
    case 7:
      return { type: 'handler', handler: 'near', with: { ...told, until: chance.between(1, 3) }, retry }
    default:
      return { type: 'handler', handler: 'near', with: told }
  }
}

/** What is in a map or a loop: also waits, questions and children. */
function randomInside(chance: Chance, told: { effects: string; ms: number }, retry: object): object {
  return chance.pick([
    { type: 'handler', handler: 'near', with: { ...told, until: chance.between(1, 3) }, retry },
    { type: 'wait', duration: `PT${chance.pick([0.02, 1.2])}S` },
    { type: 'agent', role: 'ceo', subject: '?', request: {}, timeout: `PT${chance.pick([0.3, 2])}S` },
    { type: 'flow', flow: 'child', input: { effects: told.effects } },
  ])
}

function randomNeeds(chance: Chance, needed: string[], steps: Record<string, Record<string, unknown>>): object {
  if (needed.length === 0) return {}
  const router = needed.find((name) => steps[name]!['type'] === 'route')
  if (router !== undefined) return { on: `${router}:${chance.pick(['left', 'right'])}` }
  const after = chance.pick([needed, { any: needed }, { atLeast: needed.length, of: needed }])
  return { after }
}

interface Open {
  id: string
  execution_id: string
}

test('random commands from two processes that are killed at random: every execution ends and no invariant breaks (A5, A6, D9, E6)', async () => {
  const chance = seededChance()
  const definitions = Array.from({ length: FLOWS }, (_, number) => randomDefinition(chance, number))
  const flows = await Promise.all(definitions.map((definition) => storeFlow(database, definition)))
  const told = { effects: '${{ input.effects }}', ms: 20 }
  await storeFlow(database, {
    name: 'child',
    steps: { a: { type: 'handler', handler: 'near', with: told }, b: { type: 'wait', duration: 'PT0.3S', after: ['a'] } },
  })
  const initiatorId = newUuid()
  const spawn = (): Promise<EngineProcess> => spawnEngine(env, { leaseMs: LEASE_MS })
  const slots = await Promise.all([spawn(), spawn()])
  let spare = spawn()
  await Promise.all(slots.map((slot) => slot.call({ do: 'run' })))

  const pending: Promise<unknown>[] = []
  const done = { started: 0, answered: new Map<string, string>(), canceled: [] as string[], killed: 0 }
  const ids: string[] = []
  /** The result, unless the process died before it answered: then nobody knows. */
  async function ask<T>(slot: number, call: EngineCall): Promise<T | Problem | undefined> {
    try {
      return (await slots[slot]!.call(call)) as T | Problem
    } catch (error) {
      if (String(error).includes('the process is gone')) return undefined
      throw error
    }
  }
  async function start(slot: number): Promise<void> {
    const input = { effects: effects.file, side: chance.pick(['left', 'right']) }
    const started = await ask<{ executionId: string }>(slot, { do: 'start', flow: chance.pick(flows), input, initiatorId })
    if (started === undefined) return
    ids.push(unwrap(started).executionId)
    done.started += 1
  }
  async function answer(slots: number[]): Promise<void> {
    const open = await database.query<Open>(`select id, execution_id from sluice.agent_requests where status = 'OPEN'`)
    const request = open[chance.between(0, open.length - 1)]
    if (!request) return
    await Promise.all(
      slots.map(async (slot) => {
        const answeredBy = newUuid()
        const order = {
          requestId: request.id,
          executionId: request.execution_id,
          decision: 'APPROVE',
          data: null,
          answeredBy,
        } as const
        const result = await ask<{ requestId: string }>(slot, { do: 'answer', order })
        if (result === undefined || isProblem(result)) return
        expect(done.answered.has(request.id), 'answered twice').toBe(false)
        done.answered.set(request.id, answeredBy)
      }),
    )
  }
  async function control(slot: number, verb: 'cancel' | 'pause' | 'resume'): Promise<void> {
    const executionId = ids.length === 0 ? undefined : chance.pick(ids.slice(-30))
    if (executionId === undefined) return
    const result = await ask(slot, { do: verb, order: { executionId, reason: 'by chance' } })
    if (verb === 'cancel' && result !== undefined && !isProblem(result)) done.canceled.push(executionId)
  }
  async function kill(slot: number): Promise<void> {
    const [dying, replacing] = [slots[slot]!, spare]
    spare = spawn()
    done.killed += 1
    await dying.kill()
    slots[slot] = await replacing
    await slots[slot].call({ do: 'run' })
  }

  for (let command = 0; command < COMMANDS; command++) {
    const slot = chance.between(0, 1)
    const roll = chance.between(0, 99)
    if (roll < 45) pending.push(start(slot))
    else if (roll < 65) pending.push(answer([slot]))
    else if (roll < 75) pending.push(answer([0, 1]))
    else if (roll < 80) pending.push(control(slot, 'cancel'))
    else if (roll < 88) pending.push(control(slot, 'pause'))
    else if (roll < 98) pending.push(control(slot, 'resume'))
    else await kill(slot)
    await pause(chance.between(0, 50))
  }
  await Promise.all(pending)
  await spare
  const paused = await database.query<{ id: string }>(
    'select id from sluice.executions where pause_reason is not null and ended_at is null',
  )
  for (const { id } of paused) await api.resume({ executionId: id })
  await allEnded(database, 30_000)

  expect(await breaches(database)).toEqual([])
  const rows = await database.query<{ id: string; status: string; codes: string }>(
    `select id, status, error ->> 'code' as codes from sluice.executions`,
  )
  expect(rows.length).toBeGreaterThanOrEqual(done.started)
  const [children] = await database.query<{ count: number }>(
    'select count(*)::int as count from sluice.executions where parent_id is not null',
  )
  expect(children!.count).toBeGreaterThan(0)
  const statuses = new Map(rows.map(({ id, status }) => [id, status]))
  expect(done.canceled.filter((id) => statuses.get(id) !== 'CANCELED')).toEqual([])
  const answers = await database.query<{ id: string; answered_by: string }>(
    `select id, answered_by from sluice.agent_requests where status = 'ANSWERED'`,
  )
  const stored = new Map(answers.map(({ id, answered_by }) => [id, answered_by]))
  expect([...done.answered].filter(([id, by]) => stored.get(id) !== by)).toEqual([])
  const summary = Object.groupBy(rows, ({ status }) => status)
  const counts = Object.entries(summary).map(([status, all]) => `${all!.length} ${status}`)
  console.log(
    `${rows.length} executions (${counts.join(', ')}), ${stored.size} answers, ${done.killed} kills, ${children!.count} children`,
  )
})
