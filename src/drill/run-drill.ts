/** One drill from beginning to end: the processes, the load, the followers, one fault after the other, and what is found afterwards. */
import { setTimeout as pause } from 'node:timers/promises'
import { signIn } from '../../clients/feed/session.ts'
import type { SessionOptions } from '../../clients/feed/session.ts'
import type { Config } from '../config/config-types.ts'
import { openDatabase } from '../database/database.ts'
import { decodeId, newUuid } from '../ids.ts'
import type { Logger } from '../log.ts'
import { beginBesideFleet } from './beside-fleet.ts'
import { openChain } from './chain.ts'
import { checkAll } from './check.ts'
import type { Check, FaultRecord } from './check.ts'
import { connectionsOf, startCrew } from './crew.ts'
import { openDrillUser } from './drill-user.ts'
import { ensureFlow } from './ensure-flow.ts'
import { startFollowers } from './followers.ts'
import { readHistory } from './history.ts'
import { cancelLeftovers, untilEnded } from './leftovers.ts'
import { LABEL } from './load.ts'
import { perform } from './perform.ts'
import type { DrillNews } from './perform.ts'
import type { DrillPlan } from './plan.ts'
import { watchProgress } from './progress.ts'
import type { Progress } from './progress.ts'
import type { Site } from './site.ts'
import { openWitness } from './witness.ts'

export interface DrillOptions {
  readonly site: Site
  /** of the site's processes */
  readonly config: Config
  readonly plan: DrillPlan
  readonly workers: number
  /** where the processes print to */
  readonly directory: string
  readonly log: Logger
  readonly signal: AbortSignal
  onNews(news: DrillNews): void
}

export interface DrillResult {
  readonly checks: readonly Check[]
  readonly faults: readonly FaultRecord[]
  /** when the witness was called, ms since the load began */
  readonly calls: readonly number[]
  readonly lengthMs: number
  readonly executions: number
}

/** How long a call of a step takes, so that there is a middle of it. */
const WORK_MS = 150
/** After the load: everything that was started ends, and every feed has told so. */
const ENDED_WITHIN_MS = 120_000
const FOLLOWED_WITHIN_MS = 30_000
const LOOK_MS = 200
const ANSWERED_WITHIN_MS = 10_000
/** Of its own, beside those of its processes. */
const POOL_SIZE = 4

/** Throws what keeps it from being done; that something did not hold is a result. Leaves nothing behind but what is in the database. */
export async function runDrill(options: DrillOptions): Promise<DrillResult> {
  const { site, config, plan, signal, log } = options
  await using stack = new AsyncDisposableStack()
  const database = await openDatabase({ connection: site.databaseUrl, entities: [], poolSize: POOL_SIZE, log })
  stack.defer(() => database.close())
  const connections = POOL_SIZE + connectionsOf(options.workers)
  const known = site.kind === 'FLEET' ? await beginBesideFleet({ database, config, connections, log }, stack) : undefined
  const witness = await openWitness({ workMs: WORK_MS, now: () => database.clock.now() })
  stack.defer(() => witness.close())
  const crew = await startCrew({ ...options, witnessAddress: witness.address }, stack)
  signal.throwIfAborted()
  const chain = known ?? (await openChain(config, database))
  const user = await openDrillUser(database, chain.keys)
  stack.defer(() => user.close())
  const session = await signIn({ url: crew.apiUrl, fetch: impatient }, user)
  const flow = await ensureFlow(session)
  const progress = watchProgress(database, decodeId('flow', flow)!, signal)
  if (site.kind === 'FLEET') {
    // before there are workers: those of a drill that was killed would call its witness in vain, and fail
    await cancelLeftovers(session, flow)
    stack.defer(async () => {
      await cancelLeftovers(session, flow)
      await untilEnded(progress.countUnended)
    })
  }
  await crew.startWorkers()
  signal.throwIfAborted()
  const drill = newUuid()
  const followers = startFollowers({ url: crew.apiUrl, token: session.token, drill })
  stack.defer(() => followers.stop())

  const done = await perform({ ...options, crew, witness, progress, followers, session, flow, drill })
  await allEnded(progress, signal)
  const ids = done.started.map(({ id }) => id)
  const followed = await followers.settle(ids, AbortSignal.any([signal, AbortSignal.timeout(FOLLOWED_WITHIN_MS)]))
  signal.throwIfAborted()
  const history = await readHistory(database, { key: LABEL, value: drill })
  const facts = { ...done, history, followed, calls: witness.calls, lost: crew.lost, boundMs: plan.boundMs }
  const checks = checkAll({ ...facts, audit: await chain.verify() })
  const { faults, calls, lengthMs } = done
  return { checks, faults, calls, lengthMs, executions: history.executions.size }
}

/** Those that have not ended in time are found by the checks. */
async function allEnded(progress: Progress, signal: AbortSignal): Promise<void> {
  for (const until = performance.now() + ENDED_WITHIN_MS; performance.now() < until; await pause(LOOK_MS, undefined, { signal }))
    if ((await progress.unended()).length === 0) return
}

const impatient: SessionOptions['fetch'] = (url, init) => fetch(url, { ...init, signal: AbortSignal.timeout(ANSWERED_WITHIN_MS) })
