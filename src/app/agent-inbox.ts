/** Takes the answers that agents send over Redis: each is judged, told about, and settled. One that cannot be judged stops no other. */
import { passes } from '../database/when-reachable.ts'
import type { AgentMessages, IncomingMessage } from '../fleet/agent-messages.ts'
import type { Logger } from '../log.ts'
import { createLoop } from '../loop.ts'
import { receiveAgentAnswers } from '../operations/agent-requests/receive-agent-answers.ts'
import type { AnswerDoor, AnswerOutcome } from '../operations/agent-requests/receive-agent-answers.ts'

/** Whoever sends an answer rings; this is what a lost ring costs. */
const POLL_MS = 1_000
/** Large ones come in smaller parts. */
const AT_ONCE = 100
const RECLAIM_EVERY_MS = 10_000
/** After so many tries that ended with the process, or for another reason than that nothing can be stored now, it is the message. */
const MOST_FAILURES = 5

export interface AgentInbox {
  start(): void
  stop(): Promise<void>
  /** Takes what there is, until there is no more; how many ms until it should look again. */
  runOnce(): Promise<number>
  /** told what became of each; for metrics */
  onAnswer?: (outcome: 'ACCEPTED' | 'REFUSED' | 'DROPPED') => void
}

export interface AgentInboxOptions {
  readonly messages: AgentMessages
  readonly door: AnswerDoor
  readonly log: Logger
}

export function createAgentInbox({ messages, door, log }: AgentInboxOptions): AgentInbox {
  let reclaimedAt = Number.NEGATIVE_INFINITY
  /** answers may come for ever, and each batch may wait for the database */
  let stopping = false

  async function runOnce(): Promise<number> {
    if (!messages.ready) return POLL_MS
    // without the database nothing can be judged: then nothing is taken
    await door.services.database.query('select 1')
    if (performance.now() - reclaimedAt > RECLAIM_EVERY_MS) {
      reclaimedAt = performance.now()
      await takeAll(messages.reclaim)
    }
    await takeAll(messages.receive)
    return POLL_MS
  }

  async function takeAll(next: (most: number) => Promise<IncomingMessage[]>): Promise<void> {
    while (messages.ready && !stopping) {
      const batch = await next(AT_ONCE)
      if (batch.length === 0) return
      const poison = batch.filter(({ failures }) => failures >= MOST_FAILURES)
      for (const { failures } of poison) {
        log.error({ count: failures }, 'an answer of an agent could not be judged again and again: it is dropped')
        inbox.onAnswer?.('DROPPED')
      }
      await messages.settle(poison.map(({ entry }) => entry))
      if (!(await take(batch.filter((message) => !poison.includes(message))))) return
    }
  }

  /** False: now is no time to take more. */
  async function take(batch: readonly IncomingMessage[]): Promise<boolean> {
    const outcomes = await receiveAgentAnswers(door, batch).catch(async (error: unknown) => {
      if (passes(error)) await messages.spare(batch)
      throw error
    })
    const of = (outcome: AnswerOutcome): IncomingMessage[] => batch.filter((_, at) => outcomes[at] === outcome)
    for (const outcome of ['ACCEPTED', 'REFUSED'] as const) {
      const ended = of(outcome)
      await messages.settle(ended.map(({ entry }) => entry))
      for (const _ of ended) inbox.onAnswer?.(outcome)
    }
    const later = of('LATER')
    await messages.spare(later)
    return later.length === 0
  }

  /** That Redis is away was said, and is no fault here. */
  function unlessAway(error: unknown): number {
    if (messages.ready) throw error
    return POLL_MS
  }

  const loop = createLoop({ name: 'answers of agents', log, runOnce: () => runOnce().catch(unlessAway) })
  const inbox: AgentInbox = {
    runOnce,
    start() {
      messages.onAnswer(loop.wake)
      messages.onReady(loop.wake)
      loop.start()
    },
    async stop() {
      stopping = true
      await loop.stop()
    },
  }
  return inbox
}
