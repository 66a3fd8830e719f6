/** The engine of the process: what its steps may name and call, what they take, and its worker. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createHttpRunner } from '../engine/acts/http-runner.ts'
import { createQueryRunner } from '../engine/acts/query-runner.ts'
import { createEngine } from '../engine/create-engine.ts'
import type { RunningEngine } from '../engine/create-engine.ts'
import { childEnvironment } from '../engine/handlers/child-environment.ts'
import { createHandlerHost } from '../engine/handlers/handler-host.ts'
import type { HandlerHost } from '../engine/handlers/handler-host.ts'
import { loadHandlers } from '../engine/handlers/load-handlers.ts'
import type { HandlerRegistry } from '../engine/handlers/load-handlers.ts'
import { measureEngine } from '../engine/metrics.ts'
import { createResourceMeter } from '../engine/resource-meter.ts'
import { createStartRates } from '../engine/start-rates.ts'
import { watchSteps } from '../engine/watch-steps.ts'
import { measureWork } from '../engine/work-metrics.ts'
import { measureSources } from '../database/query-metrics.ts'
import type { SecretKeys } from '../identity/secret-keys.ts'
import type { AllowList } from '../language/values.ts'
import type { Services } from '../operations/call.ts'
import { admitStarts } from '../operations/executions/admit-starts.ts'
import { createChooseChild } from '../operations/executions/choose-child.ts'
import { noteRefusedCall } from '../operations/executions/note-refused-call.ts'
import { createOpenSecrets } from '../operations/secrets/open-secrets.ts'
import { createGuardedClient } from '../outbound/guarded-client.ts'
import { measureClient } from '../outbound/metrics.ts'
import { RELEASE } from '../release.ts'
import type { AppAudit } from './audit.ts'
import type { Ground } from './ground.ts'
import { openSources } from './sources.ts'

const EXAMPLE_HANDLERS = fileURLToPath(new URL('../../examples/handlers', import.meta.url))
/** How long a canceled execution may take to stop what runs. */
const FENCE_MS = 10_000

export interface AppEngineOptions {
  audit: AppAudit
  secretKeys: SecretKeys
  /** the environment that handlers may inherit from */
  environment: Readonly<Record<string, string | undefined>>
  /** executions are held here, not only written */
  work: boolean
  /** there when the first step runs */
  services: () => Services
}

/** Not run yet; stopped with the stack. */
export async function openEngine(
  ground: Ground,
  options: AppEngineOptions,
): Promise<{ engine: RunningEngine; allow: AllowList }> {
  const { config, log, database, registry, bus, createLimiter, dispatch, stack } = ground
  const { work, services, secretKeys } = options
  const { auditKeys, security } = options.audit
  const handlers = await openHandlers(ground, options.environment)
  const outbound = measureClient(createGuardedClient(config.outbound), registry)
  stack.defer(() => outbound.close())
  const sources = await openSources(config, work, log.child({ room: 'queries' }), stack)
  const allow: AllowList = {
    roles: new Set(config.engine.agentRoles),
    handlers: new Set(handlers.registry.keys()),
    sources: new Set(sources.keys()),
    pools: new Set([...config.engine.poolsAllowed, ...config.engine.pools]),
  }
  const { leaseMs, maxHeld, pools } = config.engine
  const engine = createEngine({
    ...{ leaseMs, maxHeld, pools, version: RELEASE, fenceMs: FENCE_MS, drainMs: config.shutdown.drainMs, enabled: work },
    ...{ database, bus, dispatch, ...handlers, allow },
    openSecrets: createOpenSecrets({ database, keys: secretKeys, auditKeys, security: security.watch, log }),
    acts: {
      http: createHttpRunner({ client: outbound, log, onRefused: (call) => void noteRefusedCall(services(), call) }),
      query: createQueryRunner(measureSources(sources, registry)),
    },
    signAudit: auditKeys.sign,
    admitStarts: (starts) => admitStarts(services(), starts),
    chooseChild: createChooseChild(services),
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
  return { engine, allow }
}

async function openHandlers(
  { config, log, development, stack }: Ground,
  inherited: AppEngineOptions['environment'],
): Promise<{ host: HandlerHost; registry: HandlerRegistry }> {
  const { handlerEnv, handlerMemoryMb: memoryLimitMb, handlerCpuMs: cpuLimitMs, handlersDirs, handlerProcesses } = config.engine
  const compileCacheDirectory = join(config.database.dataDir, 'compile-cache')
  // whoever else writes there runs code here; where it cannot be made, there is none
  await mkdir(compileCacheDirectory, { recursive: true, mode: 0o700 }).catch(() => undefined)
  const handling = {
    environment: childEnvironment(inherited, handlerEnv),
    compileCacheDirectory,
    ...{ memoryLimitMb, cpuLimitMs, log: log.child({ room: 'handlers' }) },
  }
  const directories = [...handlersDirs, ...(development && config.engine.examples ? [EXAMPLE_HANDLERS] : [])]
  const registry = await loadHandlers({ ...handling, directories })
  const host = createHandlerHost({ ...handling, registry, maxProcesses: handlerProcesses })
  stack.defer(() => host.close())
  return { host, registry }
}
