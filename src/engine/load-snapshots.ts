/** Reads executions back from their rows: what a claim, a reload or a visit begins with. */
import type { Database } from '../database/database.ts'
import { prepared } from '../database/prepared.ts'
import { isProblem } from '../errors.ts'
import type { Problem } from '../errors.ts'
import { encodeId } from '../ids.ts'
import type { Program } from '../language/program.ts'
import type { Json, JsonObject, StepFailure } from '../language/values.ts'
import { storableText } from '../storable-text.ts'
import type { ChildEnd, Input } from './decide/input.ts'
import type { BufferedSignal, Origin, Snapshot, StepRecord } from './decide/snapshot.ts'
import { MAX_KNOWN } from './steps/signal.ts'
import type { ExecutionError } from './entities/execution.ts'
import { isReadable } from './in-flight.ts'
import type { InFlight } from './in-flight.ts'
import { OfNewerRelease } from './programs.ts'
import type { Programs } from './programs.ts'
import type { EndedStepStatus, ExecutionStatus, UnhappyStatus } from './states.ts'

export interface Loaded {
  snapshot: Snapshot
  /** words from other executions, not read yet */
  messages: StoredWord[]
  /** it has not begun, and whoever started it does not wait for it any more */
  orphaned?: boolean
  /** set when it must not run: its definition names what is not allowed any more (its program is empty then), or its start is refused */
  notAllowed?: string
}

/** `output`: of the child whose end it tells. */
export type StoredWord =
  | { key: string; kind: 'cancel'; body: { reason?: string }; output: null }
  | { key: string; kind: 'childEnded'; body: Omit<ChildEnd, 'output'>; output: Json }

interface Row {
  parent_id: string | null
  orphaned: boolean | null

  id: string
  flow_id: string
  flow_version_id: string
  initiator_id: string
  status: ExecutionStatus
  version: number
  epoch: number
  owner: string | null
  wake_at: Date | null
  priority: number
  deadline_at: Date | null
  cancel_reason: string | null
  pause_reason: string | null
  ending: UnhappyStatus | null
  seq: number
  last_event_at: Date
  state_bytes: number
  created_at: Date
  started_at: Date | null
  ended_at: Date | null
  reason: string | null
  error: ExecutionError | null
  in_flight: InFlight[]
  input: JsonObject
  steps:
    | {
        path: string
        status: EndedStepStatus
        attempt: number
        route: string | null
        output: Json
        error: StepFailure | null
        ended: number
        reusedFrom: string | null
      }[]
    | null
  messages: Loaded['messages'] | null
  signals: BufferedSignal[] | null
  known_signals: string[] | null
  slot_key: string | null
  tokens: number
  retry_of: string | null
  origin: Omit<Origin, 'retryOf'> | null
}

/** Read at once: each may bring an output of a megabyte. */
export const MOST_WORDS = 20
const WORDS = `select m.execution_id, m.key, m.kind, m.body,
  case when m.kind = 'childEnded' then (select o.body from sluice.execution_outputs o where o.execution_id = m.sender_id) end as output
  from sluice.inbox m`

/**
 * Only the steps of the definition, by their names, and the last iterations of loops: rows of items are many, and nobody needs them here.
 */
const TEXT = prepared(`
  select e.id, e.parent_id,
    (select not p.in_flight @> jsonb_build_array(jsonb_build_object('childId', e.id)) from sluice.executions p
      where p.id = e.parent_id and e.started_at is null) as orphaned,
    e.flow_id, e.flow_version_id, e.initiator_id, e.status, e.version, e.epoch, e.owner, e.wake_at, e.priority, e.deadline_at,
    e.cancel_reason, e.pause_reason, e.ending, e.seq, e.last_event_at, e.state_bytes, e.created_at, e.started_at, e.ended_at, e.reason,
    e.error, e.tokens, e.in_flight, coalesce(i.body, '{}') as input,
    -- a retry has what it uses again from its beginning
    case when e.seq > 0 or e.retry_of is not null then (
      select json_agg(json_build_object('path', s.path, 'status', s.status, 'attempt', s.attempt, 'route', s.route, 'output', s.output,
        'error', s.error, 'ended', floor(extract(epoch from s.finished_at) * 1000),
        'reusedFrom', s.reused_from))
      from sluice.step_runs s where s.execution_id = e.id and s.path = any(
        array(select json_object_keys(v.definition -> 'steps') from sluice.flow_versions v where v.id = e.flow_version_id)
        || array(select json_object_keys(v.definition -> 'steps') || '.compensate' from sluice.flow_versions v
          where v.id = e.flow_version_id and e.ending is not null)
        || array(select f ->> 'last' from jsonb_array_elements(e.in_flight) f where f ? 'last'))) end as steps,
    (select json_agg(json_build_object('key', w.key, 'kind', w.kind, 'body', w.body, 'output', w.output))
      from (${WORDS} where m.execution_id = e.id order by m.key limit ${MOST_WORDS}) w) as messages,
    -- what has no event yet was told nothing
    case when e.seq > 0 then (select json_agg(json_build_object('seq', g.seq, 'name', g.name, 'data', g.data, 'bytes', g.bytes, 'sentBy', g.sent_by,
        'at', extract(epoch from g.at)::float8 * 1000) order by g.seq)
      from sluice.signals g where g.execution_id = e.id and g.taken_by is null) end as signals,
    case when e.seq > 0 then (select array_agg(k.id order by k.seq) from (
      select g.id, g.seq from sluice.signals g where g.execution_id = e.id order by g.seq desc limit ${MAX_KNOWN}) k) end as known_signals,
    (select l.key from sluice.slots l where l.execution_id = e.id) as slot_key,
    e.retry_of, case when e.retry_of is not null or e.parent_id is not null then (
      select json_strip_nulls(json_build_object('from', o.from_step, 'reason', o.reason, 'initiators', o.initiators))
      from sluice.execution_origins o where o.execution_id = e.id) end as origin
  from sluice.executions e left join sluice.execution_inputs i on i.execution_id = e.id
  where e.id = any($1::uuid[])`)

/**
 * Executions that are not there any more are left out. One that ended long ago may have lost its input and steps: it only says that it ended.
 * What only a newer release can read goes to `unread`; without, it throws OfNewerRelease.
 */
export async function loadSnapshots(
  database: Database,
  programs: Programs,
  ids: readonly string[],
  unread?: string[],
): Promise<Loaded[]> {
  if (ids.length === 0) return []
  const rows = await database.query<Row>(TEXT, [ids])
  const loaded = await Promise.all(
    rows.map(async (row) => {
      const program = await readProgram(programs, row).catch((error: unknown) => {
        if (!unread || !(error instanceof OfNewerRelease)) throw error
        unread.push(row.id)
      })
      if (!program) return []
      const messages = row.messages ?? []
      if (!isProblem(program)) return { snapshot: toSnapshot(row, program), messages, orphaned: row.orphaned === true }
      const why = program.issues?.map(({ message }) => message).join(' ') ?? program.message
      return { snapshot: toSnapshot(row, EMPTY), messages, notAllowed: storableText(why, 2000) }
    }),
  )
  return loaded.flat()
}

async function readProgram(programs: Programs, { flow_version_id: id, in_flight: inFlight }: Row): Promise<Program | Problem> {
  if (!inFlight.every(isReadable)) throw new OfNewerRelease()
  return programs.get(id)
}

const WORDS_TEXT = prepared(
  `select w.* from unnest($1::uuid[]) as e(id) cross join lateral
    (${WORDS} where m.execution_id = e.id order by m.key limit ${MOST_WORDS}) w`,
)

/** What other executions said to these, which are held here: without reading the executions themselves again. */
export function loadWords(database: Database, ids: readonly string[]): Promise<(StoredWord & { execution_id: string })[]> {
  return database.query(WORDS_TEXT, [ids])
}

/** What other executions said, as inputs; a word of a kind that this program does not know stays unread. */
export function wordsOf(words: readonly StoredWord[]): (Input & { key: string })[] {
  return words.flatMap((word): (Input & { key: string })[] => {
    const { key } = word
    switch (word.kind) {
      case 'cancel':
        return [{ kind: 'message', key, message: 'cancel', reason: word.body.reason ?? 'its parent ended' }]
      case 'childEnded':
        return [{ kind: 'childEnded', key, ...word.body, ...(word.output !== null && { output: word.output }) }]
      default:
        word satisfies never
        return []
    }
  })
}

const EMPTY: Program = {
  name: '',
  steps: [],
  step: () => undefined,
  dependents: () => [],
  timeoutMs: 0,
  // what waits in queues of them goes with it
  usesPools: true,
  checkInput: () => [],
}

const ms = (date: Date | null): number | null => date?.getTime() ?? null

function toSnapshot(row: Row, program: Program): Snapshot {
  const steps = new Map<string, StepRecord>()
  for (const { path, status, attempt, route, output, error, ended, reusedFrom } of row.steps ?? []) {
    const record: StepRecord = { status, attempt }
    if (status === 'SUCCEEDED') Object.assign(record, { output, endedAt: ended })
    if (route !== null) record.route = route
    if (error !== null) record.error = error
    if (reusedFrom !== null) record.reusedFrom = reusedFrom
    steps.set(path, record)
  }
  return {
    ...{
      id: row.id,
      parentId: row.parent_id,
      flowId: row.flow_id,
      flowVersionId: row.flow_version_id,
      initiatorId: row.initiator_id,
      program,
      steps,
    },
    ...{ input: row.input, status: row.status, version: row.version, epoch: row.epoch, owner: row.owner, seq: row.seq },
    ...{
      wakeAt: ms(row.wake_at),
      priority: row.priority,
      deadlineAt: ms(row.deadline_at),
      cancelReason: row.cancel_reason,
      pauseReason: row.pause_reason,
      ending: row.ending,
    },
    ...{ lastEventAt: row.last_event_at.getTime(), stateBytes: row.state_bytes, createdAt: row.created_at.getTime() },
    ...{
      startedAt: ms(row.started_at),
      endedAt: ms(row.ended_at),
      reason: row.reason,
      error: row.error,
      inFlight: row.in_flight,
      signals: row.signals ?? [],
      knownSignals: row.known_signals ?? [],
      slotKey: row.slot_key,
      tokens: row.tokens,
      origin: row.origin && { ...row.origin, ...(row.retry_of !== null && { retryOf: encodeId('execution', row.retry_of) }) },
    },
  }
}
