/**
 * Workers in one process, in bad weather: their statements are late, fail, or are done and nobody learns of it; they are cut off from the
 * database, die, drain; rings are lost. What ran where is written down: nothing runs twice at once without a reason.
 */
import { setTimeout as pause } from 'node:timers/promises'
import type { Database } from '../../src/database/database.ts'
import { createEngine } from '../../src/engine/create-engine.ts'
import type { RunningEngine } from '../../src/engine/create-engine.ts'
import { createHandlerHost } from '../../src/engine/handlers/handler-host.ts'
import type { Bus } from '../../src/fleet/bus.ts'
import { createLocalBus } from '../../src/fleet/local-bus.ts'
import { DEFAULT_ROLES } from '../../src/language/roles.ts'
import { createLog } from '../../src/log.ts'
import { signAudit } from './audit-keys.ts'
import { chooseByName } from './choose-by-name.ts'
import { inlineRegistry } from './engine.ts'
import { broken, interceptQueries, isRenewal } from './intercept-queries.ts'
import type { Interceptor } from './intercept-queries.ts'
import type { Chance } from './seeded.ts'

/** What a handler is told. */
type Told = { ms?: number; until?: number; hangs?: boolean; once?: boolean }

interface Ran {
  node: StormyNode
  attempt: number
  beganAt: number
  once: boolean
}

export interface StormyNode {
  readonly engine: RunningEngine
  readonly pools: readonly string[]
  /** It dies: nothing that it does is seen any more. */
  kill(): void
  /** It reaches no database for so long. */
  cut(ms: number): void
  /** Gives back what it has, and is gone. */
  drain(): Promise<void>
  /** its steps may have been taken by others since then, and rightly */
  wasDisturbedSince(moment: number): boolean
}

export interface StormyFleet {
  node(pools: readonly string[]): Promise<StormyNode>
  /** false: no fault from here on */
  storm(rages: boolean): void
  /** what ran twice without a reason */
  readonly doubles: readonly string[]
  /** how often a handler began */
  readonly begun: number
}

export const LEASE_MS = 600
const DRAIN_MS = 150
/** of statements */
const FAILING = 0.015
const UNANSWERED = 0.015
const LATE = 0.2
const LATE_MS = 40
/** of rings */
const UNHEARD = 0.2

const never = new Promise<never>(() => {})

export function stormyFleet(database: Database, chance: Chance): StormyFleet {
  const log = createLog(process.env['SLUICE_TEST_LOG'] ?? 'silent')
  const air = createLocalBus(log)
  const runs = new Map<string, Ran[]>()
  const doubles: string[] = []
  let stormy = false
  let begun = 0

  function note(key: string, ran: Ran): void {
    const before = runs.get(key) ?? []
    runs.set(key, [...before, ran])
    begun++
    for (const other of before) {
      // a worker takes over from itself what it knew nothing of at two heartbeats, however late an answer comes
      const isSame = other.attempt === ran.attempt && other.node !== ran.node
      if (ran.once) doubles.push(`${key} ran again, and may run at most once`)
      else if (isSame && !other.node.wasDisturbedSince(other.beganAt)) doubles.push(`${key} ran twice for no reason`)
    }
  }

  async function node(pools: readonly string[]): Promise<StormyNode> {
    let dead = false
    let stopping = false
    let reached = Promise.resolve()
    let renewedAt = performance.now()
    let disturbedAt = Number.NEGATIVE_INFINITY

    const lookAtLease = (): void => {
      if (performance.now() - renewedAt > LEASE_MS * 0.75) disturbedAt = performance.now()
    }
    const intercept: Interceptor = async (text, send) => {
      const asked = performance.now()
      if (dead) return never
      if (stormy && chance.next() < LATE) await pause(chance.between(0, LATE_MS))
      await reached
      if (stormy && chance.next() < FAILING) throw broken()
      if (dead) return never
      const rows = await send()
      if (stormy && chance.next() < LATE) await pause(chance.between(0, LATE_MS))
      await reached
      if (dead) return never
      if (stormy && chance.next() < UNANSWERED) throw broken()
      if (isRenewal(text)) {
        lookAtLease()
        renewedAt = asked
      }
      return rows
    }
    const bus: Bus = {
      ring: (topic, payload) => void (dead || (stormy && chance.next() < UNHEARD) || air.ring(topic, payload)),
      listen: (topic, listener) => air.listen(topic, (payload) => void (dead || listener(payload))),
      close: () => Promise.resolve(),
    }
    const registry = inlineRegistry({
      async work(told, { executionId, path, attempt, signal }) {
        const { ms = 0, until = 1, hangs = false, once = false } = told as Told
        note(`${executionId}/${path}`, { node: made, attempt, beganAt: performance.now(), once })
        await pause(hangs ? 60_000 : ms, undefined, { signal })
        if (attempt < until) throw new Error('not yet')
        return { ran: path }
      },
    })
    const engine = createEngine({
      ...{ database: interceptQueries(database, intercept), bus, log, registry, signAudit, pools },
      ...{ leaseMs: LEASE_MS, maxHeld: chance.between(3, 40), fenceMs: 400, drainMs: DRAIN_MS, enabled: true },
      host: createHandlerHost({ registry, environment: {}, log, graceMs: 100 }),
      allow: { roles: new Set(DEFAULT_ROLES), handlers: new Set(registry.keys()) },
      chooseChild: chooseByName(database),
    })
    const made: StormyNode = {
      ...{ engine, pools },
      kill: () => void (dead = true),
      cut(ms) {
        reached = pause(ms)
      },
      async drain() {
        stopping = true
        await engine.stop()
      },
      wasDisturbedSince(moment) {
        lookAtLease()
        return dead || stopping || disturbedAt >= moment
      },
    }
    for (let tried = 0; ; tried++) {
      try {
        await engine.run()
        return made
      } catch (error) {
        if (tried > 20) throw error
      }
    }
  }

  return {
    node,
    storm: (rages) => void (stormy = rages),
    doubles,
    get begun() {
      return begun
    },
  }
}
