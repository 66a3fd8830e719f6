/** The composition root: opens the rooms from the ground up and joins them; what was opened last is stopped first. */
import { flushCompileCache } from 'node:module'
import { setTimeout as sleep } from 'node:timers/promises'
import { AuditEvent } from '../audit/entities/audit-event.ts'
import { SecurityEvent } from '../audit/entities/security-event.ts'
import type { Database } from '../database/database.ts'
import type { RunningEngine } from '../engine/create-engine.ts'
import { ENGINE_ENTITIES } from '../engine/entities/all.ts'
import { developmentSecrets } from '../identity/development-secrets.ts'
import type { AdminResult } from '../identity/ensure-admin.ts'
import { IDENTITY_ENTITIES } from '../identity/identity.ts'
import { createSecretKeys } from '../identity/secret-keys.ts'
import type { Services } from '../operations/call.ts'
import { ensureExampleFlows } from '../operations/flows/ensure-example-flows.ts'
import { createTriggers } from '../triggers/create-triggers.ts'
import { TRIGGER_ENTITIES } from '../triggers/entities/all.ts'
import { measurePatterns } from '../triggers/metrics.ts'
import { DELIVERIES_TOPIC } from '../triggers/webhooks/delivery-loop.ts'
import { openAgents } from './agents.ts'
import { openAudit } from './audit.ts'
import { waitsFor } from './database.ts'
import type { AppDatabaseOptions } from './database.ts'
import { openEngine } from './engine.ts'
import type { AppEngineOptions } from './engine.ts'
import { openReplica } from './replica.ts'
import { openFeeds } from './feeds.ts'
import { openGround } from './ground.ts'
import type { Ground } from './ground.ts'
import { openAdmin, openIdentity } from './identity.ts'
import { createHealth } from './health.ts'
import { tellOfOtherWorkers } from './other-workers.ts'
import { openPorts } from './ports.ts'
import { watchRelease } from './release-watch.ts'
import type { openServer } from './server.ts'
import { openDeliveries, openScheduler } from './triggers.ts'
import { openUpkeep } from './upkeep.ts'

export const ENTITIES = [...IDENTITY_ENTITIES, AuditEvent, SecurityEvent, ...ENGINE_ENTITIES, ...TRIGGER_ENTITIES]

/** Load balancers ask every few seconds whether a server is ready. */
const DELAY_MS = 5_000
const EXAMPLE_FLOWS = new URL('../../examples/flows/all.ts', import.meta.url)

export interface AppOptions extends AppDatabaseOptions, Pick<AppEngineOptions, 'environment' | 'work'> {
  /** the API; beside it or instead of it, `work`: a worker */
  serve: boolean
}

export interface App {
  /** of the API, when it serves */
  readonly url?: string
  readonly metricsUrl?: string
  readonly admin: AdminResult
  readonly engine: RunningEngine
  readonly database: Database
  /** Not ready from now on; once whoever sends requests may have noticed: ends what it does, as it may, and closes. */
  stop(): Promise<void>
}

export async function startApp(options: AppOptions): Promise<App> {
  const stack = new AsyncDisposableStack()
  try {
    // A third of what there is to load is the API: a worker alone does without. Here, where nothing waits for this thread yet.
    const doors = options.serve ? await import('./server.ts') : undefined
    const ports = await openPorts(options, createHealth(), stack)
    return await openRooms(await openGround(options, ENTITIES, ports, stack), options, doors?.openServer)
  } catch (error) {
    await stack.disposeAsync()
    throw error
  }
}

async function openRooms(
  ground: Ground,
  { environment, work, onFatal }: AppOptions,
  serve: typeof openServer | undefined,
): Promise<App> {
  const { config, log, development, database, registry, bus, createLimiter, redis, stack } = ground
  const { health, api, metricsUrl } = ground
  const { dataDir } = config.database
  const { jwtSecret = '', secretsKey = '' } = development ? developmentSecrets(dataDir, config.identity) : config.identity
  const secretKeys = createSecretKeys(secretsKey, config.identity.secretsPreviousKeys)
  const audit = openAudit({ config, database, registry, bus, log: log.child({ room: 'audit' }) }, stack)
  const { auditKeys, auditHead, security, writeAudit } = audit

  const getServices = (): Services => services
  const { engine, allow } = await openEngine(ground, { audit, secretKeys, environment, work, services: getServices })
  const identity = await openIdentity(ground, { jwtSecret, secretKeys, agentRoles: allow.roles })
  const admin = await openAdmin(ground, identity, auditKeys)
  const { authChanges, renewPrincipals } = identity
  const feeds = openFeeds({ bus, log, access: { ...authChanges, renewPrincipals } }, registry, stack)
  const triggering = { database, bus, registry, services: getServices, log: log.child({ room: 'triggers' }) }
  const scheduler = openScheduler({ ...triggering, engine })
  const triggers = createTriggers({ ...triggering, onPublished: scheduler.wake })
  const { runningPerInitiator, flowWritesPerMinute, balancedTokens } = config.limits
  const services: Services = {
    ...{ database, engine, scheduler, identity, allow, auditKeys, auditHead, writeAudit },
    replica: openReplica(ground),
    ...{ refusals: security.refusals, security: security.watch },
    ...{ patterns: triggers.patterns, patternUses: triggers.patternUses },
    wakeDeliveries: () => bus.ring(DELIVERIES_TOPIC),
    limits: {
      ...{ runningPerInitiator, balancedTokens },
      flowWrites: createLimiter({ name: 'flow-writes', points: flowWritesPerMinute }),
    },
  }
  measurePatterns(triggers.patternUses, registry)
  triggers.start()
  stack.defer(() => triggers.stop())
  if (development && config.engine.examples) await loadExampleFlows(services)
  openUpkeep(ground, audit, engine, secretKeys)
  watchRelease(ground, onFatal)
  // Node keeps what it compiled when a process exits; after one that was killed the next would compile it all again. Half a second, once,
  // and so before the first lease.
  flushCompileCache()
  await engine.run()
  // the embedded database has no others: that of the run before, whose lease is not over yet, is none
  if (work && !development && !redis && config.database.url) await tellOfOtherWorkers(database, engine.workerId, log)
  const chores = work && config.engine.chores
  for (const loop of chores ? [scheduler, openDeliveries(triggering)] : []) {
    loop.start()
    stack.defer(() => loop.stop())
  }
  if (chores) await openAgents(ground, services)
  if (api) serve?.(ground, { at: api, services, feeds, audit })
  health.watch({
    waitsFor: () => waitsFor(database, engine.committer),
    holdsLease: () => !work || engine.worker.holdsLease,
    without: () => (redis && redis.client?.status !== 'ready' ? ['Redis'] : []),
  })
  return {
    ...{ admin, engine, database, ...(api && { url: api.url }), ...(metricsUrl && { metricsUrl }) },
    async stop() {
      health.drain()
      if (api) await sleep(config.shutdown.delayMs ?? (development ? 0 : DELAY_MS))
      await stack.disposeAsync()
    },
  }
}

/** In development only: the examples, owned by the administrator, public. */
async function loadExampleFlows(services: Services): Promise<void> {
  const [owner] = await services.database.query<{ id: string }>(
    `select id from sluice.users where role = 'ADMIN' order by id limit 1`,
  )
  const { exampleFlows } = (await import(EXAMPLE_FLOWS.href)) as typeof import('../../examples/flows/all.ts')
  if (owner) await ensureExampleFlows(services, owner.id, exampleFlows)
}
