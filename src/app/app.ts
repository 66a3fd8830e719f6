/** The composition root: builds the rooms, joins them, starts them; stops them last in, first out. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Registry } from 'prom-client'
import { createCalls } from '../api/context.ts'
import { schema } from '../api/schema.ts'
import { openAppDatabase, waitsFor } from './database.ts'
import type { AppDatabaseOptions } from './database.ts'
import { openAudit } from './audit.ts'
import { drainFeeds, feedOpeners, openFeeds } from './feeds.ts'
import { openSources } from './sources.ts'
import { openDeliveries, openScheduler } from './triggers.ts'
import { auditEntry } from '../audit/record-audit.ts'
import { AuditEvent } from '../audit/entities/audit-event.ts'
import { SecurityEvent } from '../audit/entities/security-event.ts'
import type { Database } from '../database/database.ts'
import { measureSources } from '../database/query-metrics.ts'
import { createHttpRunner } from '../engine/acts/http-runner.ts'
import { createQueryRunner } from '../engine/acts/query-runner.ts'
import { createEngine } from '../engine/create-engine.ts'
import type { RunningEngine } from '../engine/create-engine.ts'
import { ENGINE_ENTITIES } from '../engine/entities/all.ts'
import { childEnvironment } from '../engine/handlers/child-environment.ts'
import { createHandlerHost } from '../engine/handlers/handler-host.ts'
import { loadHandlers } from '../engine/handlers/load-handlers.ts'
import { createInvariantMonitor } from '../engine/invariants.ts'
import { measureEngine, measureInvariants, measureRetention } from '../engine/metrics.ts'
import { measureWork } from '../engine/work-metrics.ts'
import { createResourceMeter } from '../engine/resource-meter.ts'
import { createStartRates } from '../engine/start-rates.ts'
import { createRetention } from '../engine/retention.ts'
import { watchSteps } from '../engine/watch-steps.ts'
import { addressKey } from '../fleet/address-key.ts'
import { openFleet } from '../fleet/open-fleet.ts'
import { createAttemptLimiter } from '../identity/attempt-limiter.ts'
import { createAuthChanges } from '../identity/auth-changes.ts'
import { developmentSecrets } from '../identity/development-secrets.ts'
import { ensureAdmin } from '../identity/ensure-admin.ts'
import type { AdminResult } from '../identity/ensure-admin.ts'
import { createCleanUp } from '../identity/clean-up.ts'
import { createIdentity, IDENTITY_ENTITIES } from '../identity/identity.ts'
import { createMailRoom } from '../identity/mail-room.ts'
import { createSecretKeys } from '../identity/secret-keys.ts'
import { rekeyAtStart } from '../identity/rekey-secrets.ts'
import type { AllowList } from '../language/values.ts'
import { createReceiveWebhook } from '../operations/triggers/receive-webhook.ts'
import { admitStarts } from '../operations/executions/admit-starts.ts'
import { createChooseChild } from '../operations/executions/choose-child.ts'
import type { Services } from '../operations/call.ts'
import { noteRefusedCall } from '../operations/executions/note-refused-call.ts'
import { createOpenSecrets } from '../operations/secrets/open-secrets.ts'
import { ensureExampleFlows } from '../operations/flows/ensure-example-flows.ts'
import { createGuardedClient } from '../outbound/guarded-client.ts'
import { openMail } from '../outbound/mail.ts'
import { measureClient } from '../outbound/metrics.ts'
import { startMetricsServer } from '../server/metrics.ts'
import { readPersistedOperations } from '../server/persisted-operations.ts'
import { startServer } from '../server/server.ts'
import { createTriggers } from '../triggers/create-triggers.ts'
import { measurePatterns } from '../triggers/metrics.ts'
import { TRIGGER_ENTITIES } from '../triggers/entities/all.ts'
import { DELIVERIES_TOPIC } from '../triggers/webhooks/delivery-loop.ts'
import { openTracing } from '../tracing.ts'

export const ENTITIES = [...IDENTITY_ENTITIES, AuditEvent, SecurityEvent, ...ENGINE_ENTITIES, ...TRIGGER_ENTITIES]

const EXAMPLE_HANDLERS = fileURLToPath(new URL('../../examples/handlers', import.meta.url))
const EXAMPLE_FLOWS = new URL('../../examples/flows/all.ts', import.meta.url)
/** How long a stopping server lets handlers finish, and readers of feeds take their last frame. */
const DRAIN_MS = 5_000
/** How long a canceled execution may take to stop what runs. */
const FENCE_MS = 10_000

export interface AppOptions extends AppDatabaseOptions {
  /** the environment that handlers may inherit from */
  environment: Readonly<Record<string, string | undefined>>
  /** serve: the API; work: a worker; both by default */
  serve: boolean
  work: boolean
}

export interface App {
  /** of the API, when it serves */
  readonly url?: string
  readonly metricsUrl?: string
  readonly admin: AdminResult
  readonly engine: RunningEngine
  readonly database: Database
  stop(): Promise<void>
}

export async function startApp(options: AppOptions): Promise<App> {
  const { config, log, serve, work } = options
  const development = config.nodeEnv !== 'production'
  const stack = new AsyncDisposableStack()
  try {
    const { database, appUrl } = await openAppDatabase(options, ENTITIES, stack)
    const registry = new Registry()
    const fleet = await openFleet({
      ...{ redisUrl: config.fleet.redisUrl, database, sharedDatabase: config.database.url && appUrl },
      ...{ registry, log: log.child({ room: 'fleet' }) },
    })
    stack.defer(() => fleet.close())
    const { bus, createLimiter } = fleet

    const made = development ? developmentSecrets(config.database.dataDir, config.identity) : config.identity
    const { jwtSecret, secretsKey = '' } = made
    openTracing()
    const audit = openAudit({ config, database, registry, bus, log: log.child({ room: 'audit' }) }, stack)
    const { auditKeys, auditHead, security, writeAudit, keyUses } = audit

    const environment = childEnvironment(options.environment, config.engine.handlerEnv)
    const compileCacheDirectory = join(config.database.dataDir, 'compile-cache')
    const { handlerMemoryMb: memoryLimitMb, handlerCpuMs: cpuLimitMs } = config.engine
    const bounds = { memoryLimitMb, cpuLimitMs }
    const handling = { environment, compileCacheDirectory, ...bounds, log: log.child({ room: 'handlers' }) }
    const directories = [...config.engine.handlersDirs, ...(development ? [EXAMPLE_HANDLERS] : [])]
    const handlers = await loadHandlers({ ...handling, directories })
    const host = createHandlerHost({ ...handling, registry: handlers, maxProcesses: config.engine.handlerProcesses })
    stack.defer(() => host.close())

    const outbound = measureClient(createGuardedClient(config.outbound), registry)
    stack.defer(() => outbound.close())

    const sources = await openSources(config, work, log.child({ room: 'queries' }), stack)
    const allow: AllowList = {
      roles: new Set(config.engine.agentRoles),
      handlers: new Set(handlers.keys()),
      sources: new Set(sources.keys()),
    }
    const secretKeys = createSecretKeys(secretsKey, config.identity.secretsPreviousKeys)
    const openSecrets = createOpenSecrets({ database, keys: secretKeys, auditKeys, security: security.watch, log })
    const { leaseMs, maxHeld } = config.engine
    const timing = { leaseMs, maxHeld, fenceMs: FENCE_MS, drainMs: DRAIN_MS, enabled: work }
    const engine = createEngine({
      ...timing,
      database,
      bus,
      host,
      registry: handlers,
      allow,
      openSecrets,
      acts: {
        http: createHttpRunner({ client: outbound, log, onRefused: (call) => void noteRefusedCall(services, call) }),
        query: createQueryRunner(measureSources(sources, registry)),
      },
      signAudit: auditKeys.sign,
      admitStarts: (starts) => admitStarts(services, starts),
      chooseChild: createChooseChild(() => services),
      mostChildren: config.limits.childrenPerInitiator,
      mostRunning: config.limits.runningPerInitiator,
      rates: createStartRates(createLimiter),
      log: log.child({ room: 'engine' }),
    })
    const meter = createResourceMeter({ database, log })
    measureEngine(engine, meter, registry)
    measureWork(engine, database, registry)
    watchSteps(engine, security.watch.count)
    meter.start()
    stack.defer(() => meter.stop())
    stack.defer(() => engine.stop())

    const jwtSecrets = { signing: jwtSecret ?? '', previous: config.identity.jwtPreviousSecrets }
    const { runningPerInitiator, apiPerMinute, signInPerMinute, flowWritesPerMinute, balancedTokens } = config.limits
    const signInAttempts = createAttemptLimiter(createLimiter, signInPerMinute)
    const authChanges = createAuthChanges({ database, bus, log })
    authChanges.start()
    stack.defer(() => authChanges.stop())
    const mail = await openMail(config.mail, development)
    stack.defer(() => mail.close())
    const mailRoom = createMailRoom({ database, send: mail.send, passwordResetUrl: config.mail.passwordResetUrl, log })
    const cleanUp = createCleanUp(database, log)
    for (const loop of [mailRoom, cleanUp]) {
      loop.start()
      stack.defer(() => loop.stop())
    }
    const identity = createIdentity({
      ...{ database, jwtSecrets, secretKeys, authChanges, signInAttempts, mailRoom, outbox: mail.kept, log },
      agentRoles: allow.roles,
    })
    identity.keyUse.start()
    stack.defer(() => identity.keyUse.stop())
    const { adminEmail: email, adminPassword: password } = config.identity
    const admin = await ensureAdmin({
      database,
      auditKeys,
      passwords: identity.passwords,
      email,
      ...(password && { password }),
      ...(development && { dataDir: config.database.dataDir }),
    })
    const { authenticate, renewPrincipals } = identity
    const feeds = openFeeds({ bus, log, access: { ...authChanges, renewPrincipals } }, registry, stack)
    const scheduler = openScheduler({
      ...{ database, bus, engine, registry, services: () => services, log: log.child({ room: 'triggers' }) },
    })
    const flowWrites = createLimiter({ name: 'flow-writes', points: flowWritesPerMinute })
    const triggers = createTriggers({ database, bus, onPublished: scheduler.wake, log: log.child({ room: 'triggers' }) })
    const services: Services = {
      database,
      engine,
      scheduler,
      identity,
      allow,
      refusals: security.refusals,
      security: security.watch,
      auditKeys,
      auditHead,
      writeAudit,
      ...{ patterns: triggers.patterns, patternUses: triggers.patternUses },
      wakeDeliveries: () => bus.ring(DELIVERIES_TOPIC),
      limits: { runningPerInitiator, flowWrites, balancedTokens },
    }
    measurePatterns(triggers.patternUses, registry)
    triggers.start()
    stack.defer(() => triggers.stop())
    if (development) await loadExampleFlows(services)

    const retention = createRetention({
      ...{ database, auditKeys, auditHead, log: log.child({ room: 'retention' }) },
      auditArchiveDir: config.retention.auditArchiveDir,
    })
    measureRetention(retention, registry)
    retention.start()
    stack.defer(() => retention.stop())
    const invariants = createInvariantMonitor({ database, auditKeys, engine, bus, log: log.child({ room: 'invariants' }) })
    measureInvariants(invariants, registry)
    invariants.start()
    stack.defer(() => invariants.stop())
    const rekeyed = rekeyAtStart(database, secretKeys, log)
    stack.defer(() => rekeyed)
    await engine.run()
    if (work) {
      const deliveries = openDeliveries({
        database,
        bus,
        registry,
        services: () => services,
        log: log.child({ room: 'triggers' }),
      })
      for (const loop of [scheduler, deliveries]) {
        loop.start()
        stack.defer(() => loop.stop())
      }
    }
    const app = { admin, engine, database, stop: () => stack.disposeAsync() }
    if (config.server.metricsPort !== undefined) {
      const metrics = await startMetricsServer(registry, config.server.host, config.server.metricsPort)
      stack.defer(() => metrics.close())
      Object.assign(app, { metricsUrl: metrics.url })
    }
    if (!serve) return app
    const server = await startServer({
      persisted: { documents: readPersistedOperations(config.server.persistedOperations), only: config.server.persistedOnly },
      ...{
        config: config.server,
        production: !development,
        schema,
        authenticate,
        renewPrincipals,
        onAuthChange: authChanges.onAuthChange,
        registry,
        log,
      },
      calls: createCalls(services, feedOpeners(feeds, services), log),
      createLimiter,
      requestsPerMinute: apiPerMinute,
      noteRefusal({ principal, origin }, code) {
        const entry = auditEntry({ ...(principal && { principal }), origin, services }, { ...REFUSED, errorCode: code })
        void services.refusals.record(principal?.id ?? addressKey(origin.ip), entry)
      },
      noteUse: ({ principal, origin }) => principal && keyUses.note(principal, addressKey(origin.ip)),
      waitsFor: () => waitsFor(database),
      receiveWebhook: createReceiveWebhook({ database, bus, keys: secretKeys, auditKeys, refusals: security.refusals }),
    })
    stack.defer(async () => {
      await drainFeeds(feeds)
      await server.close()
    })
    return { ...app, url: server.url }
  } catch (error) {
    await stack.disposeAsync()
    throw error
  }
}

const REFUSED = { type: 'request.refused', severity: 'NOTICE', success: false } as const

/** In development only: the examples, owned by the administrator, public. */
async function loadExampleFlows(services: Services): Promise<void> {
  const [owner] = await services.database.query<{ id: string }>(
    `select id from sluice.users where role = 'ADMIN' order by id limit 1`,
  )
  const { exampleFlows } = (await import(EXAMPLE_FLOWS.href)) as typeof import('../../examples/flows/all.ts')
  if (owner) await ensureExampleFlows(services, owner.id, exampleFlows)
}
