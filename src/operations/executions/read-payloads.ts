/** Reads inputs, outputs and states of executions that the caller was shown: masked, many at once, never more than an answer can hold. */
import type { Part } from '../../engine/execution-mask.ts'
import { Fault } from '../../errors.ts'
import type { Json } from '../../language/values.ts'
import type { Call } from '../call.ts'
import { noteParts } from '../audit/note-reads.ts'
import { bodyOf } from './read-steps.ts'
import { admitUnmask } from './unmask.ts'
import type { View } from './unmask.ts'

/** Answers over this are refused anyway: more is not even read. */
const MAX_BYTES = 10_000_000

/** JSON text and its size in UTF-8, as the caller may see it. */
export interface Payload {
  text: string
  bytes: number
  /** JSON pointers to what is masked, from `/input`, `/output` and so on */
  redacted: readonly string[]
}

/** Which step run. */
export interface StepRunKey {
  executionId: string
  path: string
}

/** `text` null: with all before it, it is too much. */
type Row = { key: string; execution: string; step: string; text: string | null; bytes: number }

/** What is read: rows of (key, execution, step, text), which part of the execution each is, and the pointer that leads to it. */
interface Source {
  name: string
  select: string
  part(step: string): Part
  root(step: string): string
}

const whole = (name: string, part: Part, select: string): Source => ({ name, select, part: () => part, root: () => `/${name}` })
const ofExecution = (table: string): string =>
  `select execution_id::text as key, execution_id as execution, '' as step, body::text as text from ${table} where execution_id = any($1)`
const ofRequest = (column: string): string =>
  `select id::text as key, execution_id as execution, path as step, ${column}::text as text
   from sluice.agent_requests where id = any($1) and ${column} is not null`
const ofStep = (column: string): string =>
  `select s.execution_id || '/' || s.path as key, s.execution_id as execution, s.path as step, s.${column}::text as text
   from unnest($2::uuid[], $3::text[]) as wanted (execution_id, path)
   join sluice.step_runs s on s.execution_id = wanted.execution_id and s.path = wanted.path
   where s.${column} is not null and s.execution_id || '/' || s.path = any($1)`

const INPUT = whole('input', 'input', ofExecution('sluice.execution_inputs'))
const OUTPUT = whole('output', 'output', ofExecution('sluice.execution_outputs'))
const REQUEST: Source = {
  ...{ name: 'request', select: ofRequest('body'), root: () => '/request' },
  part: (path) => ({ step: bodyOf(path), value: 'given' }),
}
const ANSWER: Source = {
  ...{ name: 'answer', select: ofRequest('answer'), root: () => '/answer' },
  part: (path) => ({ step: bodyOf(path), value: 'answer' }),
}
const STEP_INPUT: Source = {
  ...{ name: 'stepInput', select: ofStep('input'), root: () => '/input' },
  part: (path) => ({ step: bodyOf(path), value: 'given' }),
}
const STEP_OUTPUT: Source = {
  ...{ name: 'stepOutput', select: ofStep('output'), root: () => '/output' },
  part: (path) => ({ step: bodyOf(path), value: 'output' }),
}
const STATE: Source = {
  name: 'state',
  select: `select execution_id::text as key, execution_id as execution, name as step, output::text as text
    from sluice.step_runs where execution_id = any($1) and status = 'SUCCEEDED' and path = name`,
  part: STEP_OUTPUT.part,
  root: (step) => `/steps/${step}`,
}

type Reader = (call: Call, ids: readonly string[], view?: View) => Promise<(Payload | null)[]>

/** In the order of the executions' ids. Throws RESPONSE_TOO_LARGE; unmasked FORBIDDEN. So do all of these. */
export const readInputs: Reader = (call, ids, view) => read(call, INPUT, view, ids)
/** Null where the flow has no output, or the execution has not succeeded. */
export const readOutputs: Reader = (call, ids, view) => read(call, OUTPUT, view, ids)
/** By the ids of agent requests. */
export const readRequestBodies: Reader = (call, ids, view) => read(call, REQUEST, view, ids)
export const readRequestAnswers: Reader = (call, ids, view) => read(call, ANSWER, view, ids)

export const readStepInputs = (call: Call, steps: readonly StepRunKey[], view?: View): Promise<(Payload | null)[]> =>
  readStepRuns(call, STEP_INPUT, view, steps)
export const readStepOutputs = (call: Call, steps: readonly StepRunKey[], view?: View): Promise<(Payload | null)[]> =>
  readStepRuns(call, STEP_OUTPUT, view, steps)

/** `{ input, steps: { name: output } }` of each: what expressions see. Null where it was removed, being old enough. */
export async function readStates(call: Call, executionIds: readonly string[], view?: View): Promise<(Payload | null)[]> {
  const [inputs, outputs] = await Promise.all([readInputs(call, executionIds, view), bounded(call, STATE, view, [executionIds])])
  const steps = Map.groupBy(outputs, ({ key }) => key)
  return executionIds.map((id, at) => {
    const input = inputs[at]
    if (!input) return null
    const own = steps.get(id) ?? []
    const parts = own.map(({ step, text }) => `${JSON.stringify(step)}:${text}`).join(',')
    const text = `{"input":${input.text},"steps":{${parts}}}`
    const redacted = [...input.redacted, ...own.flatMap((payload) => payload.redacted)]
    return { text, bytes: Buffer.byteLength(text), redacted }
  })
}

const readStepRuns = (call: Call, source: Source, view: View | undefined, steps: readonly StepRunKey[]) =>
  read(
    call,
    source,
    view,
    steps.map(({ executionId, path }) => `${executionId}/${path}`),
    [steps.map((step) => step.executionId), steps.map((step) => step.path)],
  )

async function read(
  call: Call,
  source: Source,
  view: View | undefined,
  keys: readonly string[],
  more: readonly unknown[] = [],
): Promise<(Payload | null)[]> {
  const byKey = new Map((await bounded(call, source, view, [keys, ...more])).map((payload) => [payload.key, payload]))
  return keys.map((key) => byKey.get(key) ?? null)
}

/** Their texts leave the database only as long as all before them were not too much; they leave here only as the caller may see them. */
async function bounded(
  call: Call,
  source: Source,
  view: View = 'MASKED',
  params: readonly unknown[],
): Promise<(Payload & { key: string; step: string })[]> {
  const { database, engine } = call.services
  const rows = await database.query<Row>(
    `select key, execution, step, bytes, case when sum(bytes) over (rows unbounded preceding) <= ${MAX_BYTES} then text end as text
    from (select key, execution, step, text, octet_length(text) as bytes from (${source.select}) as found) as sized`,
    params,
  )
  const executionIds = rows.map(({ execution }) => execution)
  if (view === 'UNMASKED') await admitUnmask(call, executionIds, source.name)
  noteParts(call, executionIds, source.name)
  const masks = view === 'MASKED' ? await engine.masks(executionIds) : undefined
  return rows.map(({ key, execution, step, text, bytes }) => {
    if (text === null) throw new Fault('RESPONSE_TOO_LARGE')
    const masked = masks?.get(execution)!.json(source.part(step), text, source.root(step)) ?? { text, redacted: [] }
    return { key, step, ...masked, bytes: masked.text === text ? bytes : Buffer.byteLength(masked.text) }
  })
}

/** The value of a payload, or null when it is over `maxBytes`. */
export const parsePayload = (payload: Payload | null, maxBytes: number): Json =>
  payload && payload.bytes <= maxBytes ? (JSON.parse(payload.text) as Json) : null
