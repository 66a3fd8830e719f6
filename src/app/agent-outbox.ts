/**
 * Brings the streams of agents to what the database says (A14). What changed is told at once; every minute, and whenever Redis is back,
 * the streams are compared with the database as a whole: what is missing is added, what has ended is taken out. Nothing is remembered
 * here but how far changes were read, so a Redis that lost everything is filled again, and one that is away delays.
 */
import type { AgentMessages } from '../fleet/agent-messages.ts'
import type { Bus } from '../fleet/bus.ts'
import type { Singleton } from '../fleet/lock.ts'
import { AGENT_REQUESTS_TOPIC } from '../engine/engine.ts'
import type { ChangeLog } from '../live/change-log.ts'
import type { Logger } from '../log.ts'
import { createLoop } from '../loop.ts'
import { collectAgentMessages, noteTaken, wantedMessages } from '../operations/agent-requests/collect-agent-messages.ts'
import type { CollectedMessage, WantedMessages } from '../operations/agent-requests/collect-agent-messages.ts'
import type { Services } from '../operations/call.ts'

/** What a lost ring costs; and how soon another process leads, when the one that led is gone. */
const POLL_MS = 2_000
/** Something is committed that cannot be told yet. */
const PENDING_MS = 25
const COMPARE_EVERY_MS = 60_000
const COMPARE_AT_MOST_EVERY_MS = 250
/** Bodies have up to 200 kB. */
const AT_ONCE = 50

export interface AgentOutbox {
  start(): void
  stop(): Promise<void>
  /** Brings the streams up to date, if this process leads; how many ms until it should look again. */
  runOnce(): Promise<number>
  /** told how many messages were added; for metrics */
  onDelivered?: (count: number) => void
}

export interface AgentOutboxOptions {
  readonly services: Services
  readonly messages: AgentMessages
  readonly changes: ChangeLog
  readonly bus: Bus
  /** one process delivers for all; two at once would do no harm */
  readonly leader: Pick<Singleton, 'isMine'>
  readonly log: Logger
}

export function createAgentOutbox({ services, messages, changes, bus, leader, log }: AgentOutboxOptions): AgentOutbox {
  const { sign, publicKey } = services.identity.messageKeys
  /** everything up to here is in the streams; undefined: nobody knows */
  let cursor: string | undefined
  /** what lies in the streams may be signed by another key, which agents do not believe any more */
  let foreign = false
  /** the stream of a role could not be kept: that of no other role waits for it */
  let lost = false
  let comparedAt = Number.NEGATIVE_INFINITY
  let unlisten: (() => void) | undefined

  async function runOnce(): Promise<number> {
    if (!messages.ready || !(await leader.isMine())) {
      cursor = undefined
      return POLL_MS
    }
    if (!(await messages.intact(publicKey))) {
      foreign = true
      cursor = undefined
    }
    const sinceCompared = performance.now() - comparedAt
    // whoever makes the streams useless again and again, and rings, costs no more than this
    if (cursor === undefined && sinceCompared < COMPARE_AT_MOST_EVERY_MS) return COMPARE_AT_MOST_EVERY_MS - sinceCompared
    if (cursor === undefined || sinceCompared > COMPARE_EVERY_MS) await compareAll()
    const read = await changes.read(cursor!)
    if (typeof read === 'string') {
      cursor = undefined
      return 0
    }
    await tellOf(read.ids)
    cursor = lost ? undefined : read.cursor
    if (lost) return POLL_MS
    if (read.more) return 0
    return read.pending ? PENDING_MS : POLL_MS
  }

  async function compareAll(): Promise<void> {
    // the place first: what changes in between is looked at again
    const place = await changes.end()
    lost = false
    for (const [role, wanted] of await wantedMessages(services)) await keep(role, () => compare(role, wanted))
    cursor = place
    foreign &&= lost
    comparedAt = performance.now()
  }

  async function keep(role: string, work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      if (!messages.ready) throw error
      lost = true
      log.warn({ role, err: error }, 'the stream of a role could not be kept, trying again')
    }
  }

  async function compare(role: string, { requests, notices }: WantedMessages): Promise<void> {
    const held = await messages.held(role)
    const taken = new Set(
      await messages.taken(
        role,
        held.filter((id) => notices.has(id)),
      ),
    )
    await noteTaken(services, [...taken])
    const isWanted = (id: string): boolean => requests.has(id) || (notices.has(id) && !taken.has(id))
    const isKept = (id: string): boolean => isWanted(id) && !foreign
    await messages.withdraw(
      role,
      held.filter((id) => !isKept(id)),
    )
    const there = new Set(held.filter(isKept))
    await tellOf([...requests, ...notices].filter((id) => isWanted(id) && !there.has(id)))
  }

  /** Of these agent requests, what agents wait for is added, and what nobody waits for any more is taken out. */
  async function tellOf(ids: readonly string[]): Promise<void> {
    for (let at = 0; at < ids.length; at += AT_ONCE) {
      const found = await collectAgentMessages(services, ids.slice(at, at + AT_ONCE))
      for (const [role, ofRole] of Map.groupBy(found, (one) => one.role)) await keep(role, () => put(role, ofRole))
    }
  }

  async function put(role: string, found: readonly CollectedMessage[]): Promise<void> {
    const signed = found.flatMap(({ id, message }) => {
      if (!message) return []
      const text = JSON.stringify(message)
      return { id, text, signature: sign(text) }
    })
    const added = await messages.deliver(role, signed)
    if (added === undefined) throw new Error('somebody made it useless')
    if (added > 0) outbox.onDelivered?.(added)
    await messages.withdraw(
      role,
      found.flatMap(({ id, message }) => (message ? [] : id)),
    )
  }

  /** That Redis is away was said, and is no fault here. */
  function unlessAway(error: unknown): number {
    if (messages.ready) throw error
    return POLL_MS
  }

  const loop = createLoop({ name: 'messages to agents', log, runOnce: () => runOnce().catch(unlessAway) })
  const outbox: AgentOutbox = {
    runOnce,
    start() {
      unlisten = bus.listen(AGENT_REQUESTS_TOPIC, loop.wake)
      messages.onReady(() => {
        cursor = undefined
        loop.wake()
      })
      loop.start()
    },
    async stop() {
      unlisten?.()
      await loop.stop()
    },
  }
  return outbox
}
