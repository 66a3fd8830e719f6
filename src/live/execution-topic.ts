/** One execution as a topic: its events in the order of `seq`, with its state. */
import type { Database } from '../database/database.ts'
import { executionTopic } from '../engine/engine.ts'
import { learnTraces } from '../engine/execution-traces.ts'
import type { MasksOf } from '../engine/masks.ts'
import type { Principal } from '../identity/principal.ts'
import { Fault } from '../errors.ts'
import { executionContext, isTracing, traced } from '../tracing.ts'
import { decodeFeedCursor, encodeFeedCursor } from './cursor.ts'
import type { Feed, Feeds } from './feeds.ts'
import { advance } from './frames.ts'
import type { ExecutionFrame } from './frames.ts'
import { createReadAfter, readPlaces } from './read-execution.ts'
import type { Page, ReadOptions, Topic, TopicKind } from './topic.ts'

/** Events in one delta: large enough for few statements, small enough (8 KB an event) for one message. */
const DELTA_LIMIT = 500

/** An execution that somebody follows or wants to. */
export interface Following {
  readonly principal: Principal
  /** UUID */
  readonly executionId: string
}

/** For each: the UUID of the execution's flow, undefined when it is not there or not visible. One query, read anew. */
export type WhoMaySee = (following: readonly Following[]) => Promise<readonly (string | undefined)[]>

interface ExecutionTopic extends Topic<ExecutionFrame> {
  readonly executionId: string
}

/** Who wants to follow what. */
export interface ExecutionFeedOrder extends Following {
  /** resume after this cursor; none = begin with a snapshot */
  readonly after?: string | null | undefined
  /** only states are wanted, no events */
  readonly conflates?: boolean
}

/** Throws Fault BAD_CURSOR, NOT_FOUND (not there, or not visible) and UNAVAILABLE (draining). */
export type OpenExecutionFeed<Rendered> = (order: ExecutionFeedOrder) => Promise<Feed<Rendered>>

export interface ExecutionFeedsOptions<Rendered> {
  readonly database: Database
  readonly masks: MasksOf
  readonly whoMaySee: WhoMaySee
  readonly feeds: Pick<Feeds<Rendered>, 'open'>
}

export function createExecutionFeeds<Rendered>(options: ExecutionFeedsOptions<Rendered>): OpenExecutionFeed<Rendered> {
  const topicOf = createTopics(options)
  return async ({ principal, executionId, after, conflates = false }) => {
    if (after != null) decodeFeedCursor(after, executionId)
    const askedAt = performance.now()
    const [flowId] = await options.whoMaySee([{ principal, executionId }])
    if (flowId === undefined) throw new Fault('NOT_FOUND')
    const topic = topicOf(executionId, flowId)
    return options.feeds.open({ topic, principal, after: after ?? undefined, conflates, askedAt })
  }
}

function createTopics({ database, masks, whoMaySee }: Pick<ExecutionFeedsOptions<never>, 'database' | 'masks' | 'whoMaySee'>) {
  const readAfter = createReadAfter(database, masks)

  const kind: TopicKind = {
    name: 'execution',
    async newest(topics) {
      const ids = topics.map((topic) => (topic as ExecutionTopic).executionId)
      const places = await readPlaces(database, ids)
      return ids.map((id) => (places.has(id) ? encodeFeedCursor(id, places.get(id)!) : undefined))
    },
    async mayFollow(asked) {
      const following = asked.map(({ principal, topic }) => ({
        principal,
        executionId: (topic as ExecutionTopic).executionId,
      }))
      return (await whoMaySee(following)).map((flowId) => flowId !== undefined)
    },
  }

  async function read(
    executionId: string,
    after: string | undefined,
    { upTo, conflate }: ReadOptions,
  ): Promise<Page<ExecutionFrame> | undefined> {
    const from = after === undefined ? undefined : decodeFeedCursor(after, executionId)
    const goal = upTo === undefined ? undefined : decodeFeedCursor(upTo, executionId).seq
    const limit = goal === undefined ? DELTA_LIMIT : Math.min(DELTA_LIMIT, goal - (from?.seq ?? 0))
    const page = await readAfter(executionId, conflate ? undefined : from?.seq, limit)
    if (!page) return undefined
    const { frames, position } = advance(from, page, conflate)
    return {
      frames,
      cursor: encodeFeedCursor(executionId, { seq: position, epoch: page.epoch }),
      more: position < (goal ?? page.execution.seq),
      ends: frames.at(-1)?.kind === 'end',
    }
  }

  /** In the trace of the execution, wherever it began. */
  async function readTraced(executionId: string, ...asked: [string | undefined, ReadOptions]): ReturnType<typeof read> {
    await learnTraces(database, [executionId])
    const parent = executionContext(executionId)
    const work = () => read(executionId, ...asked)
    return parent ? traced('feed', work, () => ({ parent, attributes: { 'sluice.execution': executionId } })) : work()
  }

  /** Both ids are UUIDs. */
  return (executionId: string, flowId: string): ExecutionTopic => {
    const seqOf = (cursor: string): number => decodeFeedCursor(cursor, executionId).seq
    return {
      kind,
      executionId,
      key: `execution ${executionId}`,
      bell: executionTopic(executionId),
      subjects: [`flow:${flowId}`],
      // in whatever history, nothing was seen
      start: encodeFeedCursor(executionId, { seq: 0, epoch: undefined }),
      read: (after, options) => (isTracing() ? readTraced(executionId, after, options) : read(executionId, after, options)),
      compare: (a, b) => seqOf(a) - seqOf(b),
      isNews: (cursor, payload) => readSeq(payload) > seqOf(cursor),
    }
  }
}

/** A ring may come without its payload: then it says only that something happened. */
const readSeq = (payload: string | undefined): number => (payload && /^\d{1,10}$/.test(payload) ? Number(payload) : Infinity)
