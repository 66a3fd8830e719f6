/**
 * The ceiling: the commit function fed with ready transitions, encoded beforehand. No engine decides, launches or waits; what is
 * written is row for row what Sluice writes for the shape, claims included.
 */
import { createAuditKeys } from '../src/audit/audit-keys.ts'
import { openDatabase } from '../src/database/database.ts'
import { claimExecutions } from '../src/engine/claim.ts'
import { createCommitter } from '../src/engine/commit.ts'
import type { CommitItem } from '../src/engine/store-batch.ts'
import { decide } from '../src/engine/decide/decide.ts'
import type { Transition, World } from '../src/engine/decide/draft.ts'
import type { Input } from '../src/engine/decide/input.ts'
import type { Snapshot } from '../src/engine/decide/snapshot.ts'
import { encodeTransition } from '../src/engine/encode.ts'
import type { Extras } from '../src/engine/encode.ts'
import type { AuditEntry } from '../src/audit/audit-entry.ts'
import { newUuid } from '../src/ids.ts'
import { compile } from '../src/language/compile.ts'
import type { Program } from '../src/language/program.ts'
import { createLog } from '../src/log.ts'
import { definitionOf, handlerOf, outputOf } from './shapes.ts'
import type { Amount, Shape } from './shapes.ts'
import { closedLoop, timed } from './system.ts'
import type { Round, System } from './system.ts'

const POOL = 10
const CLAIM = 256
/** claimed and not ended at once: a batch closes at 1,000 transitions */
const HELD = 1_000

const auditKeys = createAuditKeys('protects nothing')

/** An execution's transitions in their order. */
type Ready = CommitItem[]

export async function openCeiling(connection: string): Promise<System> {
  const log = createLog('warn')
  const database = await openDatabase({ connection, entities: [], poolSize: POOL, log })
  const committer = createCommitter(database, log)
  const worker = newUuid()
  const initiators = Array.from({ length: 10 }, newUuid)

  async function submit(item: CommitItem): Promise<void> {
    const verdict = await committer.submit(item)
    if (verdict.kind !== 'committed') throw new Error(`the ceiling's transition was ${verdict.kind}`)
  }

  async function submitAll(items: Ready): Promise<void> {
    for (const item of items) await submit(item)
  }

  async function drain(shape: Shape, { executions }: Amount): Promise<Round> {
    const ready = new Map<string, Ready>()
    const starts: CommitItem[] = []
    for (let i = 0; i < executions; i++) {
      const [start, ...rest] = prepare(shape, initiators[i % 10]!, true)
      starts.push(start!)
      ready.set(start!.executionId, rest)
    }
    await Promise.all(starts.map(submit))
    return timed(async () => {
      const under = new Set<Promise<void>>()
      let after: string | null = null
      for (let claimed = 0; claimed < executions;) {
        const rows: { id: string; place: string }[] = await claimExecutions(database, {
          pool: 'default',
          worker,
          wanted: CLAIM,
          afterInitiator: after,
        })
        claimed += rows.length
        after = rows[0]?.place ?? null
        for (const { id } of rows) {
          const work: Promise<void> = submitAll(ready.get(id)!).then(() => void under.delete(work))
          under.add(work)
        }
        while (under.size > HELD - CLAIM) await Promise.race(under)
      }
      await Promise.all(under)
      return executions
    })
  }

  function prepare(shape: Shape, initiatorId: string, queued: boolean): Ready {
    return prepareExecution(programOf(shape), shape, { initiatorId, worker, queued, now: database.clock.now() })
  }

  return {
    async run(shape, amount) {
      await database.query(
        `insert into sluice.workers (id, expires_at) values ($1, now() + interval '1 hour') on conflict (id) do nothing`,
        [worker],
      )
      if (shape.mode === 'drained') return drain(shape, amount)
      const ready = Array.from({ length: amount.executions }, (_, i) => prepare(shape, initiators[i % 10]!, false))
      return closedLoop(shape.callers, { ...amount, seconds: 60 }, () => submitAll(ready.pop()!))
    },
    async flushCounters() {
      const text = 'select pg_stat_force_next_flush(), pg_sleep(0.05)'
      await Promise.all(Array.from({ length: POOL }, () => database.query(text)))
    },
    async close() {
      await committer.close()
      await database.close()
    },
  }
}

const programs = new Map<string, { program: Program; flowId: string; flowVersionId: string }>()

function programOf(shape: Shape): { program: Program; flowId: string; flowVersionId: string } {
  let known = programs.get(shape.name)
  if (!known) {
    const compiled = compile(definitionOf(shape), { roles: new Set(), handlers: new Set([handlerOf(shape)]) })
    if (!('program' in compiled)) throw new Error(JSON.stringify(compiled.issues))
    programs.set(shape.name, (known = { program: compiled.program, flowId: newUuid(), flowVersionId: newUuid() }))
  }
  return known
}

interface Given {
  initiatorId: string
  worker: string
  /** it waits for a claim first */
  queued: boolean
  now: number
}

/** Plays an execution from its start to its end, in memory, as mailboxes do: of several outcomes at once the first goes alone. */
function prepareExecution(
  { program, flowId, flowVersionId }: ReturnType<typeof programOf>,
  shape: Shape,
  { initiatorId, worker, queued, now }: Given,
): Ready {
  const world: World = { now, worker, adopt: true, keepMs: 1_000, fenceMs: 1_000 }
  const items: Ready = []
  let snapshot: Snapshot = {
    ...{
      id: newUuid(),
      flowId,
      flowVersionId,
      initiatorId,
      program,
      input: {},
      status: 'PENDING',
      version: 0,
      epoch: 0,
      owner: null,
    },
    ...{
      wakeAt: null,
      deadlineAt: null,
      cancelReason: null,
      pauseReason: null,
      ending: null,
      seq: 0,
      lastEventAt: now,
      stateBytes: 2,
    },
    ...{ createdAt: now, startedAt: null, endedAt: null, reason: null, error: null, steps: new Map(), inFlight: [] },
  }

  function turn(inputs: Input[], extras: Extras = {}): Transition {
    const transition = decide(snapshot, inputs, world)
    const mark = Math.floor(Math.random() * 2 ** 47)
    const kind = snapshot.version === 0 ? 'start' : 'update'
    items.push({
      executionId: snapshot.id,
      kind,
      mark,
      from: snapshot,
      rows: encodeTransition(transition, mark, auditKeys.sign, extras),
    })
    snapshot = transition.next
    return transition
  }

  const start = { inputText: '{}', priority: 0, labels: null, parentId: null, retryOf: null, runningLimit: 1_000_000 }
  let { launches } = turn([{ kind: queued ? 'tick' : 'started' }], { start, audits: [startedEntry(snapshot, now)] })
  if (queued) {
    // as a claim leaves it
    snapshot = { ...snapshot, version: 1, status: 'RUNNING', owner: worker, epoch: 1 }
    ;({ launches } = turn([{ kind: 'started' }, { kind: 'claimed' }]))
  }
  const output = outputOf(shape)
  const bytes = JSON.stringify(output).length
  while (snapshot.endedAt === null) {
    const [first, ...others] = launches.map(({ entry: { path, attempt, epoch } }): Input => {
      return { kind: 'outcome', path, attempt, epoch, outcome: { ok: true, output, bytes } }
    })
    ;({ launches } = turn([first!]))
    if (others.length > 0) ({ launches } = turn(others))
  }
  return items
}

/** As the start use case writes it. */
function startedEntry({ id, flowId, initiatorId }: Snapshot, now: number): AuditEntry {
  return {
    ...{ id: newUuid(), at: new Date(now).toISOString(), type: 'execution.started', severity: 'INFO', actorKind: 'USER' },
    ...{ actorId: initiatorId, flowId, executionId: id, success: true, ip: '127.0.0.1', sign: auditKeys.sign },
  }
}
