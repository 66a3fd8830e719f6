/** What the engine counts (A9): commits, transitions, executions held, attempts and their ends; and what goes by its age. */
import { Counter, Gauge, Histogram } from 'prom-client'
import type { Registry } from 'prom-client'
import type { RunningEngine } from './create-engine.ts'
import { INVARIANTS } from './find-breaches.ts'
import type { InvariantMonitor } from './invariants.ts'
import type { Retention } from './retention.ts'
import type { ResourceUse } from './handlers/resource-limits.ts'
import type { ResourceMeter } from './resource-meter.ts'
import { ENDED } from './states.ts'

export function measureEngine(engine: RunningEngine, meter: ResourceMeter, registry: Registry): void {
  const registers = [registry]
  const handlers = measureHandlers(registry)
  measurePrincipals(engine, meter, registry)
  const transitions = new Counter({ name: 'sluice_transitions_total', help: 'Transitions that were committed.', registers })
  const commits = new Histogram({
    ...{ name: 'sluice_commit_seconds', help: 'Time of a commit, whatever its size.', registers },
    buckets: [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3],
  })
  const steps = new Counter({ name: 'sluice_steps_total', help: 'Steps that ended.', labelNames: ['type', 'status'], registers })
  const executions = new Counter({
    name: 'sluice_executions_total',
    help: 'Executions that ended.',
    labelNames: ['status'],
    registers,
  })
  // a series that begins at 0 shows its first increase
  for (const status of ENDED) executions.inc({ status }, 0)
  const compensations = new Counter({
    ...{ name: 'sluice_compensations_total', help: 'Executions that undid what they did.', labelNames: ['complete'], registers },
  })
  new Gauge({
    ...{ name: 'sluice_executions_held', help: 'Executions that this worker holds.', registers },
    collect() {
      this.set(engine.worker.mailboxes.size)
    },
  })
  engine.committer.onCommit = ({ items, ms }) => {
    transitions.inc(items)
    commits.observe(ms / 1000)
  }
  engine.worker.onTransition = (transition) => {
    const { next, stepRuns } = transition
    meter.stored(transition)
    for (const { type, status } of stepRuns) steps.inc({ type, status })
    if (next.endedAt === null) return
    executions.inc({ status: next.status })
    if (!next.program.compensation) return
    const undone = transition.events.find(({ type }) => type === 'compensation.finished')?.data as { left: unknown[] } | undefined
    if (undone) compensations.inc({ complete: String(undone.left.length === 0) })
  }
  engine.worker.onUse = (of, spec, use) => {
    if (spec.type === 'handler') handlers(spec.handler, use)
    meter.used(of, use)
  }
}

const KB = 1_024

/** By the name of the handler, which the operator gave: their number is that of the registry. */
function measureHandlers(registry: Registry): (handler: string, use: ResourceUse) => void {
  const registers = [registry]
  const cpu = new Histogram({
    ...{ name: 'sluice_handler_cpu_seconds', help: 'CPU time of an attempt of a handler.', labelNames: ['handler'], registers },
    buckets: [0.001, 0.01, 0.1, 1, 10, 100],
  })
  const memory = new Histogram({
    ...{
      name: 'sluice_handler_memory_bytes',
      help: 'Most memory of a process during an attempt.',
      labelNames: ['handler'],
      registers,
    },
    buckets: [64, 128, 256, 512, 1_024, 2_048].map((mb) => mb * KB * KB),
  })
  const exceeded = new Counter({
    ...{ name: 'sluice_handler_exceeded_total', help: 'Attempts of handlers that took more than they may.', registers },
    labelNames: ['handler', 'resource'],
  })
  return (handler, use) => {
    cpu.observe({ handler }, use.cpuMs / 1_000)
    if (use.memoryBytes > 0) memory.observe({ handler }, use.memoryBytes)
    if (use.exceeded) exceeded.inc({ handler, resource: use.exceeded })
  }
}

/** Never by principal, whose number has no end: what all took, and how much the one took that took most. */
function measurePrincipals(engine: RunningEngine, meter: ResourceMeter, registry: Registry): void {
  const registers = [registry]
  const payload = new Counter({
    name: 'sluice_payload_bytes_total',
    help: 'Bytes of inputs and outputs that were stored.',
    registers,
  })
  const ofMost = MOST.map(({ what, unit, ...metric }) => ({ what, unit, gauge: new Gauge({ ...metric, registers }) }))
  new Gauge({
    name: 'sluice_principal_most_held',
    help: 'Executions that this worker holds, of the principal that has most.',
    registers,
    collect() {
      const held = Map.groupBy([...engine.worker.mailboxes.held().values()], (snapshot) => snapshot?.initiatorId)
      held.delete(undefined)
      this.set(Math.max(0, ...[...held.values()].map((executions) => executions.length)))
    },
  })
  meter.onWrite = (taken) => {
    for (const { payloadBytes } of taken) payload.inc(payloadBytes)
    const byPrincipal = [...Map.groupBy(taken, ({ initiatorId }) => initiatorId).values()]
    for (const { what, unit, gauge } of ofMost) {
      gauge.set(Math.max(...byPrincipal.map((rows) => rows.reduce((sum, row) => sum + row[what], 0))) / unit)
    }
  }
}

/** Of what the meter wrote last, and in what unit it is told. */
const MOST = [
  {
    what: 'executions',
    unit: 1,
    name: 'sluice_principal_most_executions',
    help: 'Executions of the last seconds, of the principal that has most.',
  },
  {
    what: 'payloadBytes',
    unit: 1,
    name: 'sluice_principal_most_payload_bytes',
    help: 'Bytes of inputs and outputs that were stored in the last seconds, of the principal that has most.',
  },
  {
    what: 'handlerCpuMs',
    unit: 1_000,
    name: 'sluice_principal_most_handler_cpu_seconds',
    help: 'CPU time of handlers in the last seconds, of the principal that has most.',
  },
] as const

/** `what`: executionPayloads, executions, idempotencyKeys, auditEvents. */
export function measureRetention(retention: Retention, registry: Registry): void {
  const registers = [registry]
  const labelNames = ['what'] as const
  const removed = new Counter({
    ...{
      name: 'sluice_retention_removed_total',
      help: 'What was removed by this process, being old enough.',
      registers,
      labelNames,
    },
  })
  const oldest = new Gauge({
    name: 'sluice_retention_oldest_seconds',
    help: 'How old the oldest is that is still there, also what may not go yet; as of the last run.',
    ...{ registers, labelNames },
  })
  retention.onRun = (run) => {
    for (const [what, count] of Object.entries(run.removed)) removed.inc({ what }, count)
    for (const [what, ms] of Object.entries(run.oldest)) oldest.set({ what }, (ms ?? 0) / 1000)
  }
}

export function measureInvariants(monitor: InvariantMonitor, registry: Registry): void {
  const registers = [registry]
  const repaired = new Counter({
    ...{ name: 'sluice_invariants_repaired_total', help: 'Breaches of invariants that were found and mended.', registers },
    labelNames: ['invariant'],
  })
  for (const invariant of INVARIANTS) repaired.inc({ invariant }, 0)
  const checked = new Counter({
    ...{ name: 'sluice_invariants_checks_total', help: 'Looks at all active executions and slots by this process.', registers },
  })
  monitor.onRepaired = (invariant) => repaired.inc({ invariant })
  monitor.onChecked = () => checked.inc()
}
