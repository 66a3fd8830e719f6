/**
 * Slots that commits could not hand over: to starts whose time has come since, or that somebody held at that moment. The truth is in
 * the rows, so any process may look, at any time; and whom a commit handed a slot to, or told to end, hears of it through here.
 */
import type { Database } from '../database/database.ts'
import { prepared } from '../database/prepared.ts'
import type { Logger } from '../log.ts'
import { createLoop } from '../loop.ts'
import type { SlotNews } from './store-batch.ts'
import type { Mailboxes } from './mailboxes.ts'

export interface SlotSweep {
  start(): void
  stop(): Promise<void>
  /** What a commit did: rings for those that can be claimed, and has words read that are for whoever holds nothing. */
  told(news: SlotNews): void
  /** One look at all keys for which something waits. */
  runOnce(): Promise<void>
}

export interface SlotSweepOptions {
  database: Database
  /** tells a worker of it, if nobody holds it */
  offerUnheld(executionId: string): void
  /** false: another worker looks just now */
  isTurn(): boolean
  log: Logger
  mailboxes: Pick<Mailboxes, 'post' | 'hear' | 'isHeld'>
}

const EVERY_MS = 1_000
/** Keys that are locked in one transaction. */
const BATCH = 100

/** Walks from key to key, whatever the number of those that wait for each; only where somebody is due and something can be done. */
const KEYS_TEXT = prepared(`
  with recursive keys as (
    (select flow_id, key from sluice.slots where held_at is null and (flow_id, key) > ($1::uuid, $2) order by flow_id, key limit 1)
    union all
    select n.flow_id, n.key from keys k cross join lateral (
      select s.flow_id, s.key from sluice.slots s
      where s.held_at is null and (s.flow_id, s.key) > (k.flow_id, k.key) order by s.flow_id, s.key limit 1) n)
  select k.flow_id as "flowId", k.key, h.cancels_older or h.most > (select count(*) from (
      select 1 from sluice.slots t where t.flow_id = k.flow_id and t.key = k.key and t.held_at is not null limit h.most) x) as ready
  from (select * from keys limit $3) k left join lateral (
    select q.most, q.cancels_older from sluice.slots q
    where q.flow_id = k.flow_id and q.key = k.key and q.held_at is null and q.due_at <= now()
    order by q.priority desc, q.execution_id limit 1) h on true`)

const GRANT_TEXT = prepared('select woken, told from sluice.hand_over_slots($1::uuid[], $2::text[])')

/** Nobody claims whoever waits for a slot: words to it are read by whoever comes by. */
const WORDS_TEXT = prepared(`
  select distinct s.execution_id as id from sluice.slots s join sluice.inbox i on i.execution_id = s.execution_id
  where s.held_at is null limit ${BATCH}`)

interface Key {
  flowId: string
  key: string
  ready: boolean | null
}

export function createSlotSweep({ database, offerUnheld, isTurn, log, mailboxes }: SlotSweepOptions): SlotSweep {
  const loop = createLoop({
    name: 'slots',
    log,
    async runOnce() {
      if (isTurn()) await runOnce()
      return EVERY_MS
    },
  })

  async function runOnce(): Promise<void> {
    let last: Key | undefined
    do {
      const keys: Key[] = await database.query<Key>(KEYS_TEXT, [last?.flowId ?? NO_FLOW, last?.key ?? '', BATCH])
      const ready = keys.filter((key) => key.ready)
      if (ready.length > 0) {
        const flowIds = ready.map(({ flowId }) => flowId)
        const texts = ready.map(({ key }) => key)
        for (const news of await database.query<SlotNews>(GRANT_TEXT, [flowIds, texts])) told(news)
      }
      last = keys.length === BATCH ? keys.at(-1) : undefined
    } while (last)
    for (const { id } of await database.query<{ id: string }>(WORDS_TEXT)) look(id)
  }

  function told({ woken, told: toEnd }: SlotNews): void {
    for (const id of woken) offerUnheld(id)
    for (const id of toEnd) look(id)
  }

  /** Whoever holds it elsewhere is rung by the transition that comes of it. */
  function look(id: string): void {
    if (mailboxes.isHeld(id)) return mailboxes.hear(id)
    mailboxes
      .post(id, { kind: 'tick' })
      .catch((error: unknown) => log.warn({ err: error }, 'a word was not read; the next look reads it'))
  }

  return {
    start: () => loop.start(),
    stop: () => loop.stop(),
    told,
    runOnce,
  }
}

const NO_FLOW = '00000000-0000-0000-0000-000000000000'
