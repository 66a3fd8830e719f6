/** What Sluice is asked to tell its followers in bench/live.ts: events that another process commits, and rings, as another node would. */
import { executionTopic } from '../src/engine/engine.ts'
import { openDatabase } from '../src/database/database.ts'
import { Execution } from '../src/engine/entities/execution.ts'
import { createPostgresBus } from '../src/fleet/postgres-bus.ts'
import { encodeId, newUuid } from '../src/ids.ts'
import { createLog } from '../src/log.ts'
import { dataOf } from './live-frames.ts'
import type { BenchServer } from './server.ts'

export const PASSWORD = 'Bench-live-1'

/** paused: nobody works on them, and nothing has to wake them */
const START = `
  insert into sluice.executions (id, flow_id, flow_version_id, initiator_id, status, last_event_at, state_bytes, steps_total, created_at, started_at)
  select id, $2, $2, $2, 'PAUSED', now(), 2, 1, now(), now() from unnest($1::uuid[]) id`
const COMMIT = `
  with moved as (update sluice.executions set seq = seq + 1, version = version + 1, last_event_at = now() where id = $1 returning seq)
  insert into sluice.events (execution_id, seq, type, at, step, path, attempt, data)
  select $1, seq, 'step.started', now(), 'a', 'a', 1, $2::jsonb from moved returning seq`

export interface Publisher {
  /** of an administrator, who may see every execution */
  readonly token: string
  /** of the executions */
  readonly ids: readonly string[]
  /** Event `number` goes to one of the executions, in turn. */
  publish(number: number): Promise<void>
  close(): Promise<void>
}

/** `url`: of the database; `api`: of the server. */
export async function openPublisher(server: BenchServer, url: string, api: string, executions: number): Promise<Publisher> {
  const log = createLog('warn')
  const database = await openDatabase({ connection: url, entities: [Execution], poolSize: 8, log })
  const bus = createPostgresBus({ database, connection: url, log })
  await bus.listening()
  const uuids = Array.from({ length: executions }, newUuid)
  const admin = await server.connect('live')
  await admin.query(START, [uuids, newUuid()])
  await admin.end()
  return {
    token: await signIn(api),
    ids: uuids.map((uuid) => encodeId('execution', uuid)),
    async publish(number) {
      const uuid = uuids[number % executions]!
      // which `seq` it gets is the database's affair: several are under way
      const [event] = await database.query<{ seq: number }>(COMMIT, [uuid, JSON.stringify(dataOf(number, Date.now()))])
      bus.ring(executionTopic(uuid), String(event!.seq))
    },
    async close() {
      await bus.close()
      await database.close()
    },
  }
}

async function signIn(api: string): Promise<string> {
  const query = 'mutation ($input: SignInInput!) { signIn(input: $input) { ... on SignInSuccess { accessToken } } }'
  const response = await fetch(`${api}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query, variables: { input: { email: 'admin@sluice.local', password: PASSWORD } } }),
  })
  const { data } = (await response.json()) as { data: { signIn: { accessToken: string } } }
  return data.signIn.accessToken
}
