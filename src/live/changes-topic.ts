/** Many things as one topic: what there is now, then what has changed, as far as the viewer may see it. Only states, no histories. */
import { canonicalJson } from '../canonical-json.ts'
import { together } from '../database/together.ts'
import { Fault } from '../errors.ts'
import { rightsSubjectsOf } from '../identity/grantees.ts'
import { viewerKeyOf } from '../identity/principal.ts'
import type { Principal } from '../identity/principal.ts'
import { compareChangeCursors, decodeChangeCursor, NOTHING_TOLD } from './change-cursor.ts'
import type { Changes, ChangeLog } from './change-log.ts'
import type { Feed, Feeds } from './feeds.ts'
import type { CommonFrame, FeedReason } from './frames.ts'
import type { Page, ReadOptions, Topic, TopicKind } from './topic.ts'

/** The things of `wanted` that somebody may see. Each call is read anew, by one statement. */
export interface Sight<Wanted, Shown, Changed> {
  show(principal: Principal, wanted: Wanted): Promise<Shown>
  /** Those of these (UUIDs) that are of `wanted`, in pieces of one frame each; TOO_MANY_CHANGES: more than a feed passes on. */
  changed(principal: Principal, wanted: Wanted, ids: readonly string[]): Promise<readonly Changed[] | 'TOO_MANY_CHANGES'>
}

export type ChangesFrame<Shown, Changed> =
  | CommonFrame
  | ({ readonly kind: 'snapshot'; readonly cursor: string } & Shown)
  | ({ readonly kind: 'delta'; readonly cursor: string } & Changed)

export interface ChangesOptions<Wanted, Shown, Changed> {
  /** such as `executions` */
  readonly name: string
  readonly bell: string
  readonly log: ChangeLog
  readonly sight: Sight<Wanted, Shown, Changed>
  readonly mayFollow: (principal: Principal) => boolean
  /** ms: what changes is told once in so long, as it is then */
  readonly paceMs: number
}

/** Something was committed while an older transaction still ran: how soon and how often it is looked for again. */
const PENDING_MS = 25
const PENDING_LOOKS = 40
/** When rights change, or a server is back, everybody wants a snapshot: connections are left to others. */
const SHOWN_AT_ONCE = { most: 1, atOnce: 4 }

export type TopicOf<Wanted> = (wanted: Wanted, principal: Principal) => Topic

export function changesTopics<Wanted, Shown extends object, Changed extends object>({
  name,
  bell,
  log,
  sight,
  mayFollow,
  paceMs,
}: ChangesOptions<Wanted, Shown, Changed>): TopicOf<Wanted> {
  const kind: TopicKind = {
    name,
    async newest(topics) {
      const end = await log.end()
      return topics.map(() => end)
    },
    mayFollow: async (asked) => asked.map(({ principal }) => mayFollow(principal)),
  }

  const show = together(
    async (asked: readonly { principal: Principal; wanted: Wanted }[]) =>
      Promise.all(asked.map(({ principal, wanted }) => sight.show(principal, wanted))),
    SHOWN_AT_ONCE,
  )

  async function snapshot(
    wanted: Wanted,
    principal: Principal,
    gap?: { after: string; reason: FeedReason },
  ): Promise<Page<ChangesFrame<Shown, Changed>>> {
    // the place first: what changes in between is told again
    const cursor = await log.end()
    const shown = await show({ principal, wanted })
    // whoever is cut off behind the gap gets both again
    const skipped = gap ? [{ kind: 'gap' as const, cursor: gap.after, reason: gap.reason }] : []
    return { frames: [...skipped, { kind: 'snapshot', cursor, ...shown }], cursor, more: false, ends: false }
  }

  /** States are told again on the way from there, and what a snapshot never shows is told at all. */
  async function anewAt(cursor: string, wanted: Wanted, principal: Principal): Promise<Page<ChangesFrame<Shown, Changed>>> {
    const shown = await show({ principal, wanted })
    return { frames: [{ kind: 'snapshot', cursor, ...shown }], cursor, more: true, ends: false }
  }

  async function readNext(after: string, upTo: string | undefined): Promise<Changes | FeedReason> {
    for (let look = 0; ; look += 1) {
      const changes = await log.read(after, upTo)
      if (typeof changes === 'string' || changes.ids.length > 0 || !changes.pending || look === PENDING_LOOKS) return changes
      await pause(PENDING_MS)
    }
  }

  /** All walls of this process look at the same moments, so that one statement answers them. */
  const tickOf = (time: number): number => Math.floor(time / paceMs)

  /** Whoever may see the same shares a topic: administrators, who see everything; everybody else sees for themselves. */
  return function topicOf(wanted, principal) {
    let toldAt = -1

    async function read(after: string | undefined, { upTo, anew }: ReadOptions): Promise<Page<ChangesFrame<Shown, Changed>>> {
      if (after === undefined) return snapshot(wanted, principal)
      if (anew) return anewAt(after, wanted, principal)
      if (paceMs > 0 && tickOf(performance.now()) === toldAt) await pause((toldAt + 1) * paceMs - performance.now())
      const changes = await readNext(after, upTo)
      if (typeof changes === 'string') return snapshot(wanted, principal, { after, reason: changes })
      const { ids, cursor, more } = changes
      if (!more) toldAt = tickOf(performance.now())
      const changed = ids.length === 0 ? [] : await sight.changed(principal, wanted, ids)
      if (changed === 'TOO_MANY_CHANGES') return snapshot(wanted, principal, { after, reason: changed })
      // one commit is one place: whoever is cut off between its frames gets all of them again
      const frames = changed.map((some, index) => {
        const place = index === changed.length - 1 ? cursor : after
        return { kind: 'delta' as const, cursor: place, ...some }
      })
      return { frames, cursor, more, ends: false }
    }

    const seesAll = principal.role === 'ADMIN'
    return {
      kind,
      key: `${name} ${seesAll ? 'ADMIN' : viewerKeyOf(principal)} ${canonicalJson(wanted)}`,
      bell,
      subjects: seesAll ? [] : rightsSubjectsOf(principal),
      showsByRights: !seesAll,
      start: NOTHING_TOLD,
      read,
      compare: compareChangeCursors,
      // a ring says nothing of whose execution it is
      isNews: () => true,
      seenBy: (other) => topicOf(wanted, other),
    }
  }
}

/** Who wants to follow what. */
export interface ChangesOrder<Wanted> {
  readonly principal: Principal
  readonly wanted: Wanted
  /** resume after this cursor, of this filter or another; none = begin with a snapshot */
  readonly after?: string | null | undefined
}

/** Throws Fault BAD_CURSOR, FORBIDDEN and UNAVAILABLE (draining). */
export type OpenChanges<Rendered, Wanted> = (order: ChangesOrder<Wanted>) => Promise<Feed<Rendered>>

export function openChanges<Rendered, Wanted>({
  feeds,
  topicOf,
  mayFollow,
}: {
  readonly feeds: Pick<Feeds<Rendered>, 'open'>
  readonly topicOf: TopicOf<Wanted>
  readonly mayFollow: (principal: Principal) => boolean
}): OpenChanges<Rendered, Wanted> {
  return async ({ principal, wanted, after }) => {
    if (after != null) decodeChangeCursor(after)
    const askedAt = performance.now()
    if (!mayFollow(principal)) throw new Fault('FORBIDDEN')
    const topic = topicOf(wanted, principal)
    const from = after == null || after === NOTHING_TOLD ? undefined : after
    return feeds.open({ topic, principal, after: from, conflates: true, askedAt })
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
