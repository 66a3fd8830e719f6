/** An engine of one test's own, whose handlers wait at gates and whose statements can be intercepted. */
import { onTestFinished } from 'vitest'
import type { Database } from '../../src/database/database.ts'
import { createEngine } from '../../src/engine/create-engine.ts'
import type { EngineOptions, RunningEngine } from '../../src/engine/create-engine.ts'
import { createHandlerHost } from '../../src/engine/handlers/handler-host.ts'
import { decodeId } from '../../src/ids.ts'
import { createLocalBus } from '../../src/fleet/local-bus.ts'
import type { Json } from '../../src/language/values.ts'
import { DEFAULT_ROLES } from '../../src/language/roles.ts'
import { createLog } from '../../src/log.ts'
import { signAudit } from './audit-keys.ts'
import { inlineRegistry } from './engine.ts'
import { interceptQueries } from './intercept-queries.ts'
import type { Interceptor } from './intercept-queries.ts'

/** One attempt of a handler, which runs until the test ends it. */
export interface GatedRun {
  executionId: string
  path: string
  attempt: number
  signal: AbortSignal
  open(output?: Json): void
}

export interface SteeredEngine {
  engine: RunningEngine
  /** attempts of `gated` in the order they began */
  runs: GatedRun[]
  /** Resolves with the n-th attempt, from 1, when it begins. */
  run(n: number): Promise<GatedRun>
  /** replaced at will; undefined: statements go through */
  intercept: Interceptor | undefined
}

/** Handlers: `gated` waits for the test, whatever it is told; `quick` answers at once. Started, and stopped when the test ends. */
export async function steeredEngine(
  plain: Database,
  options: Partial<EngineOptions> = {},
  beforeItRuns: (steered: SteeredEngine) => void = () => {},
): Promise<SteeredEngine> {
  const runs: GatedRun[] = []
  const begun: (() => void)[] = []
  const registry = inlineRegistry({
    quick: () => ({}),
    gated: (_input, { executionId, path, attempt, signal }) =>
      new Promise<Json>((open) => {
        const id = decodeId('execution', executionId)!
        runs.push({ executionId: id, path, attempt, signal, open: (output = {}) => open(output) })
        for (const tell of begun.splice(0)) tell()
      }),
  })
  const log = createLog(process.env['SLUICE_TEST_LOG'] ?? 'silent')
  const host = createHandlerHost({ registry, environment: {}, log, graceMs: 5000 })
  const steered: SteeredEngine = {
    ...{ runs, intercept: undefined, engine: undefined as unknown as RunningEngine },
    async run(n) {
      while (runs.length < n) await new Promise<void>((resolve) => begun.push(resolve))
      return runs[n - 1]!
    },
  }
  const database = interceptQueries(plain, (text, send, params) =>
    steered.intercept ? steered.intercept(text, send, params) : send(),
  )
  steered.engine = createEngine({
    ...{ database, log, registry, signAudit, leaseMs: 10_000, maxHeld: 500, fenceMs: 500, drainMs: 50, enabled: true },
    bus: createLocalBus(log),
    // where a suspect runs is the host's matter and tested there: here it stays in the test's hands
    host: { run: (call) => host.run({ ...call, isolated: false }), free: 100, close: () => host.close() },
    allow: { roles: new Set(DEFAULT_ROLES), handlers: new Set(registry.keys()) },
    ...options,
  })
  onTestFinished(async () => {
    steered.intercept = undefined
    for (const { open } of runs) open()
    await steered.engine.stop()
  })
  beforeItRuns(steered)
  await steered.engine.run()
  return steered
}
