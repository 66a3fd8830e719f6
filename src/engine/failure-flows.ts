/**
 * Starts the flow that another names as its `onFailure`: once for each execution that failed or did not end in time, as whoever
 * published it. The end of that one left a row in its own transaction; the start marks the row in its own. So it starts once,
 * whoever dies when; and what is started so has no `onFailure` itself.
 */
import type { Database } from '../database/database.ts'
import { isProblem } from '../errors.ts'
import { encodeId } from '../ids.ts'
import { checkPayload, MAX_STATE_BYTES } from '../language/payload.ts'
import type { JsonObject } from '../language/values.ts'
import type { Logger } from '../log.ts'
import { createLoop } from '../loop.ts'
import type { Loop } from '../loop.ts'
import { storableText } from '../storable-text.ts'
import type { ChooseChild } from './acts/start-child.ts'
import type { Engine } from './engine.ts'
import type { ExecutionError } from './entities/execution.ts'
import type { MasksOf } from './masks.ts'
import type { Programs } from './programs.ts'
import type { UnhappyStatus } from './states.ts'

export interface FailureFlowsOptions {
  database: Database
  programs: Programs
  masks: MasksOf
  start: Engine['start']
  chooseFlow: ChooseChild | undefined
  /** executions of one publisher that have not ended: of these, failures take at most half */
  runningLimit: number
  log: Logger
}

export interface FailureFlows extends Pick<Loop, 'start' | 'stop'> {
  runOnce(): Promise<void>
}

const EVERY_MS = 1_000
const BATCH = 50
const LONGEST_PAUSE_S = 60
/** Some hours: then nothing is started any more. */
const MOST_TRIES = 500

interface Failure {
  id: string
  flow_id: string
  flow: string
  status: UnhappyStatus
  reason: string | null
  error: ExecutionError | null
  published_by: string
  flow_version_id: string
  /** it was itself started for a failure */
  handles: boolean
}

/** Taken for a while, so that others look at others; whoever dies over it leaves it to the next. */
const TAKE_TEXT = `
  with due as materialized (
    select f.execution_id from sluice.failures f
    where f.handled_by is null and f.refused is null and f.next_at <= now() order by f.next_at limit ${BATCH} for update skip locked)
  update sluice.failures f set tries = f.tries + 1,
    next_at = now() + least(power(2, least(f.tries, 10)), ${LONGEST_PAUSE_S}) * interval '1 second'
  from due, sluice.executions e, sluice.flows w, sluice.flow_versions v
  where f.execution_id = due.execution_id and e.id = f.execution_id and w.id = e.flow_id and v.id = e.flow_version_id
  returning e.id, e.flow_id, w.name as flow, e.status, e.reason, e.error, v.created_by as published_by, e.flow_version_id,
    exists (select from sluice.failures h where h.handled_by = e.id) as handles, f.tries`

export function createFailureFlows(options: FailureFlowsOptions): FailureFlows {
  const { database, programs, log } = options
  // whoever may start a public flow that fails must not take all that its publisher may run
  const runningLimit = Math.max(1, Math.floor(options.runningLimit / 2))
  const loop = createLoop({
    name: 'failure flows',
    log,
    async runOnce() {
      await runOnce()
      return EVERY_MS
    },
  })

  async function runOnce(): Promise<void> {
    const failures = await database.query<Failure & { tries: number }>(TAKE_TEXT)
    await Promise.all(
      failures.map(async (failure) => {
        const refused = await handle(failure).catch((error: unknown) => {
          log.error({ err: error, executionId: encodeId('execution', failure.id) }, 'a flow could not be started for a failure')
          return 'later' as const
        })
        const last = refused === 'later' ? failure.tries >= MOST_TRIES && 'It could not be started.' : refused
        if (last) await refuse(failure, last)
      }),
    )
  }

  /** Why it will not be started; undefined: it is. */
  async function handle({ id, published_by: initiatorId, ...failure }: Failure): Promise<string | 'later' | undefined> {
    if (failure.handles) return 'It was itself started for a failure.'
    const failed = await programs.get(failure.flow_version_id)
    if (isProblem(failed) || !failed.onFailure) return 'Its definition is not allowed any more.'
    const order = { executionId: id, flowId: failure.flow_id, initiatorId, flow: failed.onFailure.flow }
    const chosen = await options.chooseFlow?.(order)
    if (!chosen?.ok) return chosen?.message ?? 'There are no flows here.'
    const program = await programs.get(chosen.flowVersionId)
    if (isProblem(program)) return 'Its definition is not allowed any more.'
    const input = await inputOf({ id, ...failure })
    const [issue] = program.checkInput(input)
    if (issue) return `${issue.path.join('.')}: ${issue.message}`
    const payload = checkPayload(input, MAX_STATE_BYTES)
    if (!payload.ok) return payload.message
    const started = await options.start({
      ...{ flowId: chosen.flowId, flowVersionId: chosen.flowVersionId, program, input, inputText: payload.text, initiatorId },
      ...{ runningLimit, failureOf: id, priority: program.priority ?? 0 },
      audit: chosen.audit.map((entry) => ({ ...entry, metadata: { failureOf: encodeId('execution', id) } })),
      idempotency: { principalId: initiatorId, key: `failure\n${id}`, inputHash: Buffer.from(id) },
    })
    if (!isProblem(started)) return undefined
    return started.problem === 'LIMIT_REACHED' ? 'later' : started.message
  }

  /** What is sensitive of the execution that failed is masked: another flow would not know. */
  async function inputOf({ id, flow, status, reason, error }: Omit<Failure, 'published_by'>): Promise<JsonObject> {
    const mask = (await options.masks([id])).get(id)!
    return {
      ...{ execution: encodeId('execution', id), flow, status },
      reason: reason === null ? null : mask.text(reason),
      error: error && { ...error, message: mask.text(error.message) },
    }
  }

  async function refuse({ id }: Failure, why: string): Promise<void> {
    log.warn({ executionId: encodeId('execution', id), why }, 'no flow was started for a failure')
    await database.query('update sluice.failures set refused = $2 where execution_id = $1 and handled_by is null', [
      id,
      storableText(why, 500),
    ])
  }

  return { start: () => loop.start(), stop: () => loop.stop(), runOnce }
}
