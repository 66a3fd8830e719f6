/** Reads inputs, outputs and states of executions that the caller was shown: many at once, and never more than an answer can hold. */
import { Fault } from '../errors.ts'
import type { Json } from '../language/program.ts'
import type { Call } from './call.ts'

/** Answers over this are refused anyway: more is not even read. */
const MAX_BYTES = 10_000_000

/** JSON text as it is stored, and its size in UTF-8. */
export interface Payload {
  text: string
  bytes: number
}

/** Which step run. */
export interface StepRunKey {
  executionId: string
  path: string
}

type Row = { key: string; text: string | null; bytes: number }

/** In the order of `executionIds`. Throws RESPONSE_TOO_LARGE. */
export const readInputs = (call: Call, executionIds: readonly string[]): Promise<(Payload | null)[]> =>
  read(
    call,
    'select execution_id::text as key, body::text as text from sluice.execution_inputs where execution_id = any($1)',
    executionIds,
  )

/** Null where the flow has no output, or the execution has not succeeded. */
export const readOutputs = (call: Call, executionIds: readonly string[]): Promise<(Payload | null)[]> =>
  read(
    call,
    'select execution_id::text as key, body::text as text from sluice.execution_outputs where execution_id = any($1)',
    executionIds,
  )

export const readRequestBodies = (call: Call, requestIds: readonly string[]): Promise<(Payload | null)[]> =>
  read(call, 'select id::text as key, body::text as text from sluice.agent_requests where id = any($1)', requestIds)

export const readRequestAnswers = (call: Call, requestIds: readonly string[]): Promise<(Payload | null)[]> =>
  read(
    call,
    'select id::text as key, answer::text as text from sluice.agent_requests where id = any($1) and answer is not null',
    requestIds,
  )

export const readStepInputs = (call: Call, steps: readonly StepRunKey[]): Promise<(Payload | null)[]> =>
  readSteps(call, 'input', steps)
export const readStepOutputs = (call: Call, steps: readonly StepRunKey[]): Promise<(Payload | null)[]> =>
  readSteps(call, 'output', steps)

/** `{ input, steps: { name: output } }` of each: what expressions see. */
export async function readStates(call: Call, executionIds: readonly string[]): Promise<Payload[]> {
  const [inputs, outputs] = await Promise.all([
    readInputs(call, executionIds),
    bounded(
      call,
      `select execution_id::text as key, to_json(name)::text || ':' || output::text as text
      from sluice.step_runs where execution_id = any($1) and status = 'SUCCEEDED' and path = name`,
      [executionIds],
    ),
  ])
  const steps = Map.groupBy(outputs, (row) => row.key)
  return executionIds.map((id, at) => {
    const parts = (steps.get(id) ?? []).map((row) => row.text).join(',')
    const text = `{"input":${inputs[at]?.text ?? '{}'},"steps":{${parts}}}`
    return { text, bytes: Buffer.byteLength(text) }
  })
}

function readSteps(call: Call, column: 'input' | 'output', steps: readonly StepRunKey[]): Promise<(Payload | null)[]> {
  const text = `select s.execution_id || '/' || s.path as key, s.${column}::text as text
    from unnest($2::uuid[], $3::text[]) as wanted (execution_id, path)
    join sluice.step_runs s on s.execution_id = wanted.execution_id and s.path = wanted.path
    where s.${column} is not null and s.execution_id || '/' || s.path = any($1)`
  return read(
    call,
    text,
    steps.map(({ executionId, path }) => `${executionId}/${path}`),
    [steps.map((step) => step.executionId), steps.map((step) => step.path)],
  )
}

async function read(
  call: Call,
  select: string,
  keys: readonly string[],
  more: readonly unknown[] = [],
): Promise<(Payload | null)[]> {
  const byKey = new Map((await bounded(call, select, [keys, ...more])).map(({ key, ...payload }) => [key, payload]))
  return keys.map((key) => byKey.get(key) ?? null)
}

/** The rows of `select (key, text)`; their texts leave the database only as long as all before them were not too much. */
async function bounded(call: Call, select: string, params: readonly unknown[]): Promise<(Payload & { key: string })[]> {
  const rows = await call.services.database.query<Row>(
    `select key, bytes, case when sum(bytes) over (rows unbounded preceding) <= ${MAX_BYTES} then text end as text
    from (select key, text, octet_length(text) as bytes from (${select}) as found) as sized`,
    params,
  )
  return rows.map(({ key, text, bytes }) => {
    if (text === null) throw new Fault('RESPONSE_TOO_LARGE')
    return { key, text, bytes }
  })
}

/** The value of a payload, or null when it is over `maxBytes`. */
export const parsePayload = (payload: Payload | null, maxBytes: number): Json =>
  payload && payload.bytes <= maxBytes ? (JSON.parse(payload.text) as Json) : null
