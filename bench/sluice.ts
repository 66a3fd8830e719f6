/** Sluice, as its server runs it: executions begin through the use case that `startExecution` calls, steps are inline handlers. */
import { Registry } from 'prom-client'
import { createAuditKeys } from '../src/audit/audit-keys.ts'
import { AuditEvent } from '../src/audit/entities/audit-event.ts'
import { createAuditWriter } from '../src/audit/audit-writer.ts'
import { createSealedHead } from '../src/audit/sealed-head.ts'
import { createSecurityRoom } from '../src/audit/security-room.ts'
import { loadConfig } from '../src/config/config.ts'
import { openDatabase } from '../src/database/database.ts'
import { createEngine } from '../src/engine/create-engine.ts'
import type { RunningEngine } from '../src/engine/create-engine.ts'
import { endedTopic } from '../src/engine/engine.ts'
import { ENGINE_ENTITIES } from '../src/engine/entities/all.ts'
import { defineHandler } from '../src/engine/handlers/define-handler.ts'
import { createHandlerHost } from '../src/engine/handlers/handler-host.ts'
import { watchSteps } from '../src/engine/watch-steps.ts'
import type { HandlerRegistry } from '../src/engine/handlers/load-handlers.ts'
import { isProblem } from '../src/errors.ts'
import { addressKey } from '../src/fleet/address-key.ts'
import type { Bus } from '../src/fleet/bus.ts'
import { createLocalBus } from '../src/fleet/local-bus.ts'
import { createAuthChanges } from '../src/identity/auth-changes.ts'
import { createSecretKeys } from '../src/identity/secret-keys.ts'
import { createIdentity, IDENTITY_ENTITIES } from '../src/identity/identity.ts'
import { createMailRoom } from '../src/identity/mail-room.ts'
import type { Principal } from '../src/identity/principal.ts'
import { createMemoryLimiter } from '../src/fleet/memory-limiter.ts'
import { createAttemptLimiter } from '../src/identity/attempt-limiter.ts'
import { newUuid } from '../src/ids.ts'
import { createLog } from '../src/log.ts'
import type { Call, Services } from '../src/operations/call.ts'
import { createFlow } from '../src/operations/flows/create-flow.ts'
import { startExecution } from '../src/operations/executions/start-execution.ts'
import { definitionOf, handlerOf, outputOf, SHAPES } from './shapes.ts'
import type { Amount, Shape } from './shapes.ts'
import { closedLoop, timed } from './system.ts'
import type { Round, System } from './system.ts'
import { createTriggers } from '../src/triggers/create-triggers.ts'

/** these two as the server's defaults */
const POOL = 20
const MAX_HELD = 1_000
const INITIATORS = 10
/** limits are not what is measured */
const UNLIMITED = 1_000_000
const WAIT_MS = 30_000
const LONGEST_DRAIN_MS = 60_000
/** starts under way at the same time while the queue is filled */
const FILLERS = 500

const auditKeys = createAuditKeys('protects nothing')
const auditHead = createSealedHead(auditKeys)

export async function openSluice(connection: string): Promise<System> {
  const log = createLog('warn')
  const entities = [...ENGINE_ENTITIES, AuditEvent, ...IDENTITY_ENTITIES]
  const database = await openDatabase({ connection, entities, poolSize: POOL, log })
  const registry = handlers()
  const allow = { roles: new Set<string>(), handlers: new Set(registry.keys()) }
  const host = createHandlerHost({ registry, environment: {}, log })
  const bus = countingBus(createLocalBus(log))
  const authChanges = createAuthChanges({ database, bus, log })
  const signInAttempts = createAttemptLimiter(createMemoryLimiter, UNLIMITED)
  const mailRoom = createMailRoom({ database, send: undefined, passwordResetUrl: undefined, log })
  const identity = createIdentity({
    database,
    jwtSecrets: { signing: newUuid() },
    secretKeys: createSecretKeys(newUuid()),
    authChanges,
    signInAttempts,
    mailRoom,
    agentRoles: allow.roles,
    log,
  })
  const writeAudit = createAuditWriter(database)
  const { security: securityLimits } = loadConfig({}, { mode: 'start' })
  const { refusals, watch: security } = createSecurityRoom({
    ...{ database, keys: auditKeys, limits: securityLimits, addressOf: addressKey, registry: new Registry(), log },
  })
  const flowWrites = createMemoryLimiter({ name: 'flow-writes', points: UNLIMITED })
  const people = Array.from({ length: INITIATORS }, somebody)
  const { patterns, patternUses } = createTriggers({ database, bus, log })
  let engine = newEngine(true)
  await createFlows()
  let next = 0

  function newEngine(enabled: boolean): RunningEngine {
    const timing = { leaseMs: 10_000, maxHeld: MAX_HELD, fenceMs: 1_000, drainMs: 1_000, enabled }
    const made = createEngine({ ...timing, database, bus, host, registry, allow, log, signAudit: auditKeys.sign })
    watchSteps(made, security.count)
    return made
  }

  function call(principal: Principal): Call {
    const limits = { runningPerInitiator: UNLIMITED, flowWrites, balancedTokens: 0 }
    const scheduler = { wake: () => {}, startWaiting: () => Promise.resolve() }
    const services: Services = {
      database,
      engine,
      scheduler,
      identity,
      allow,
      refusals,
      security,
      limits,
      auditKeys,
      auditHead,
      writeAudit,
      patterns,
      patternUses,
      wakeDeliveries: () => {},
    }
    const { signal } = new AbortController()
    let em: Call['em'] | undefined
    return {
      ...{ principal, origin: { ip: '127.0.0.1' }, requestId: 'bench', log, signal, services },
      get em() {
        return (em ??= database.fork())
      },
    }
  }

  async function createFlows(): Promise<void> {
    for (const shape of SHAPES) {
      const created = await createFlow(call(people[0]!), { definition: definitionOf(shape), visibility: 'PUBLIC' })
      if (isProblem(created)) throw new Error(`flow ${shape.name}: ${JSON.stringify(created)}`)
    }
  }

  async function start(shape: Shape, waitMs: number): Promise<void> {
    const started = await startExecution(call(people[next++ % INITIATORS]!), { flow: shape.name, input: {}, waitMs })
    if (isProblem(started)) throw new Error(`start: ${JSON.stringify(started)}`)
  }

  async function drain(shape: Shape, { executions }: Amount): Promise<Round> {
    engine = newEngine(false)
    await closedLoop(FILLERS, { executions, seconds: 60 }, () => start(shape, 0))
    engine = newEngine(true)
    return timed(async () => {
      const ended = bus.ended(executions)
      await engine.run()
      await ended
      return executions
    })
  }

  return {
    async run(shape, amount) {
      const before = await countUnfinished()
      if (before > 0) throw new Error(`${before} executions of the round before have not ended well`)
      if (shape.mode === 'drained') return drain(shape, amount).finally(() => engine.stop())
      engine = newEngine(true)
      await engine.run()
      return closedLoop(shape.callers, amount, () => start(shape, WAIT_MS)).finally(() => engine.stop())
    },
    async flushCounters() {
      const text = 'select pg_stat_force_next_flush(), pg_sleep(0.05)'
      await Promise.all(Array.from({ length: POOL }, () => database.query(text)))
    },
    async close() {
      await host.close()
      await bus.close()
      await database.close()
    },
  }

  async function countUnfinished(): Promise<number> {
    const [row] = await database.query<{ n: number }>(`select count(*) as n from sluice.executions where status <> 'SUCCEEDED'`)
    return row!.n
  }
}

function handlers(): HandlerRegistry {
  return new Map(
    SHAPES.map((shape) => {
      const name = handlerOf(shape)
      const output = outputOf(shape)
      const handler = defineHandler({ name, inline: true, run: async () => output })
      return [name, { name, inline: true, exportName: name, file: import.meta.filename, handler }]
    }),
  )
}

/** A user as one comes in with a token. */
function somebody(): Principal {
  const id = newUuid()
  return {
    kind: 'USER',
    id,
    actsAs: id,
    role: 'USER',
    handle: `p-${id}`,
    sessionId: newUuid(),
    expiresAt: Date.now() + 3_600_000,
  }
}

interface CountingBus extends Bus {
  /** Resolves when so many executions have ended from now on. */
  ended(executions: number): Promise<void>
}

/** Every end is rung: counting rings costs no look at the database. */
function countingBus(bus: Bus): CountingBus {
  const prefix = endedTopic('')
  let left = 0
  let done: (() => void) | undefined
  return {
    ...bus,
    ring(topic, payload) {
      bus.ring(topic, payload)
      if (topic.startsWith(prefix) && --left === 0) done?.()
    },
    ended(executions) {
      left = executions
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`${left} executions did not end`)), LONGEST_DRAIN_MS)
        done = () => (clearTimeout(timer), resolve())
      })
    },
  }
}
