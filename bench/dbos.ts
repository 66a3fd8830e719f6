/** DBOS Transact, the nearest peer that keeps its state in PostgreSQL alone: a library in this process, as its documentation uses it. */
import { outputOf, SHAPES } from './shapes.ts'
import type { Amount, Shape } from './shapes.ts'
import { closedLoop, timed } from './system.ts'
import type { Round, System } from './system.ts'

/** The part of its API that is used; the package is installed beside this file, and only when the bench runs. */
interface Dbos {
  DBOS: {
    setConfig(config: object): void
    launch(): Promise<void>
    shutdown(): Promise<void>
    registerWorkflow(run: () => Promise<unknown>, config: { name: string }): () => Promise<unknown>
    runStep(run: () => Promise<unknown>, config: { name: string }): Promise<unknown>
    startWorkflow(workflow: () => Promise<unknown>): () => Promise<{ getResult(): Promise<unknown> }>
    registerQueue(name: string, options: object): Promise<unknown>
  }
  DBOSClient: {
    create(config: object): Promise<{ enqueue(options: object): Promise<unknown>; destroy(): Promise<void> }>
  }
}

interface Pg {
  Pool: new (config: object) => {
    query(text: string, params?: unknown[]): Promise<{ rows: { n: string }[] }>
    end(): Promise<void>
  }
}

/** its default is 10; more did not make it faster here */
const POOL = 20
const FILLERS = 50
const POLL_MS = 20

export async function openDbos(connection: string): Promise<System> {
  const { DBOS, DBOSClient } = await load<Dbos>('@dbos-inc/dbos-sdk')
  const { default: pg } = await load<{ default: Pg }>('pg')
  const pool = new pg.Pool({ connectionString: connection, max: POOL })
  const workflows = new Map(
    SHAPES.map((shape) => [shape.name, DBOS.registerWorkflow(workflowOf(DBOS, shape), { name: shape.name })]),
  )
  DBOS.setConfig({ name: 'bench', systemDatabaseUrl: connection, systemDatabasePool: pool, logLevel: 'error' })
  await DBOS.launch()
  const client = await DBOSClient.create({ systemDatabaseUrl: connection, systemDatabasePool: pool, applicationName: 'bench' })
  let rounds = 0

  async function runOne(shape: Shape): Promise<void> {
    const handle = await DBOS.startWorkflow(workflows.get(shape.name)!)()
    await handle.getResult()
  }

  /** Enqueued before the queue is known here; measured from the first execution that begins, not from the first poll. */
  async function drain(shape: Shape, { executions }: Amount): Promise<Round> {
    const queueName = `queue-${++rounds}`
    const order = { queueName, workflowName: shape.name, applicationVersion: undefined }
    await closedLoop(FILLERS, { executions, seconds: 60 }, async () => void (await client.enqueue(order)))
    const began = new Promise<void>((resolve) => (firstStep = resolve))
    await DBOS.registerQueue(queueName, { minPollingIntervalMs: 50 })
    await began
    return timed(async () => {
      while ((await countEnded(queueName)) < executions) await new Promise((resolve) => setTimeout(resolve, POLL_MS))
      return executions
    })
  }

  async function countEnded(queueName: string): Promise<number> {
    const text = `select count(*) as n from dbos.workflow_status where queue_name = $1 and status = 'SUCCESS'`
    return Number((await pool.query(text, [queueName])).rows[0]!.n)
  }

  return {
    run: (shape, amount) =>
      shape.mode === 'drained' ? drain(shape, amount) : closedLoop(shape.callers, amount, () => runOne(shape)),
    async flushCounters() {
      await Promise.all(Array.from({ length: POOL }, () => pool.query('select pg_stat_force_next_flush(), pg_sleep(0.05)')))
    },
    async close() {
      await DBOS.shutdown()
      await pool.end().catch(() => undefined)
    },
  }
}

let firstStep = (): void => {}

function workflowOf({ runStep }: Dbos['DBOS'], shape: Shape): () => Promise<unknown> {
  const output = outputOf(shape)
  const step = (name: string): Promise<unknown> => runStep(async () => (firstStep(), output), { name })
  return async () => {
    const names = Array.from({ length: shape.steps }, (_, index) => `s${index + 1}`)
    if (shape.parallel) await Promise.all(names.map(step))
    else for (const name of names) await step(name)
    return shape.parallel ? step('join') : output
  }
}

/** By a name that the type checker does not follow: the package may not be there. */
const load = async <Module>(name: string): Promise<Module> => (await import(name)) as Module
