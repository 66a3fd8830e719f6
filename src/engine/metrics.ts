/** What the engine counts (A9): commits, transitions, executions held, attempts and their ends; and what goes by its age. */
import { Counter, Gauge, Histogram } from 'prom-client'
import type { Registry } from 'prom-client'
import type { RunningEngine } from './create-engine.ts'
import type { Retention } from './retention.ts'

export function measureEngine(engine: RunningEngine, registry: Registry): void {
  const registers = [registry]
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
  engine.worker.onTransition = ({ next, stepRuns }) => {
    for (const { type, status } of stepRuns) steps.inc({ type, status })
    if (next.endedAt !== null) executions.inc({ status: next.status })
  }
}

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
