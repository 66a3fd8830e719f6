/** All feeds of this process: opens them, brings who would get the same together, sweeps, and closes them. */
import { LRUCache } from 'lru-cache'
import { Fault } from '../errors.ts'
import type { Bus } from '../fleet/bus.ts'
import type { AuthChanges } from '../identity/auth-changes.ts'
import type { RenewPrincipals } from '../identity/authenticate.ts'
import { standingOf, subjectsOf, viewerKeyOf } from '../identity/principal.ts'
import type { Principal } from '../identity/principal.ts'
import { recheckOnChange } from '../identity/recheck.ts'
import type { Logger } from '../log.ts'
import { createLoop } from '../loop.ts'
import { drainMembers } from './drain.ts'
import { Group } from './group.ts'
import { Member } from './member.ts'
import type { Sink } from './member.ts'
import type { Presentation } from './presentation.ts'
import { Source } from './source.ts'
import type { Topic } from './topic.ts'

/** The longest that a lost ring or an expired token goes unnoticed. A sweep is one statement a kind of topic, however many feeds there are. */
const SWEEP_MS = 1_000
const HEARTBEAT_MS = 15_000
/** forms of which it is remembered that the viewer matters */
const REMEMBERED_FORMS = 1_000

/** Who may follow, and when that changes. */
export interface FeedAccess extends Pick<AuthChanges, 'fresh' | 'changedSince' | 'onAuthChange'> {
  readonly renewPrincipals: RenewPrincipals
}

export interface FeedsOptions {
  readonly bus: Bus
  readonly access: FeedAccess
  readonly log: Logger
  readonly sweepMs?: number
  readonly heartbeatMs?: number
  /** ms since 1970; tests have their own */
  readonly now?: () => number
}

/** A feed that was admitted. Nobody follows until `follow` is called. */
export interface Feed<Rendered> {
  /** Nothing is sent before it returns. Call what it returns when the sink is gone; later it does no harm. */
  follow(presentation: Presentation<Rendered>, sink: Sink<Rendered>): () => void
}

export interface FeedOrder {
  readonly topic: Topic
  readonly principal: Principal
  /** resume after this cursor; none = begin with a snapshot */
  readonly after: string | undefined
  /** only states are wanted, no events */
  readonly conflates: boolean
  /** `performance.now()` before it was asked whether the principal may follow */
  readonly askedAt: number
}

export interface Feeds<Rendered> {
  /** Throws Fault UNAVAILABLE (draining). That the principal may follow the topic, and that the cursor is one of it, is known already. */
  open(order: FeedOrder): Feed<Rendered>
  /** Refuses new feeds, and sends `closed` (DRAINING) on every one: connection by connection, in at most about `mostMs`. */
  drain(mostMs: number): Promise<void>
  /** One sweep; for tests, and what the loop does. Never rejects. */
  sweep(): Promise<void>
  start(): void
  /** Ends the loop and, without a further frame, every feed. */
  stop(): Promise<void>
  /** followers, for metrics */
  readonly size: number
  /** how many different things are rendered for them */
  readonly groups: number
}

/** What somebody gets; all who want the same share it. */
interface Wanted<Rendered> {
  readonly topic: Topic
  readonly conflates: boolean
  readonly presentation: Presentation<Rendered>
}

/** The feeds of this process; rings on the bus only hurry them. */
export function createFeeds<Rendered>(options: FeedsOptions): Feeds<Rendered> {
  const { bus, log, access, now = Date.now, sweepMs = SWEEP_MS, heartbeatMs = HEARTBEAT_MS } = options
  /** with where each is: what is kept of a follower is kept a thousand times */
  const members = new Map<Member<Rendered>, Group<Rendered>>()
  const groups = new Map<string, Group<Rendered>>()
  const sources = new Map<string, Source>()
  const viewerMatters = new LRUCache<string, true>({ max: REMEMBERED_FORMS })
  let draining = false
  let polling: Promise<void> | undefined

  function sourceOf(topic: Topic): Source {
    let source = sources.get(topic.key)
    if (!source) sources.set(topic.key, (source = new Source(topic, bus, () => sources.delete(topic.key))))
    return source
  }

  /** Made here, where it holds on to nothing else of who follows. */
  const leaveOf = (member: Member<Rendered>) => (): void => members.get(member)?.remove(member)

  /** The topic as somebody sees it now. */
  const seenBy = (principal: Principal, topic: Topic): Topic => topic.seenBy?.(principal) ?? topic

  /** Who would get the same, as it is now. */
  function groupKey(principal: Principal, { topic, conflates, presentation: { form } }: Wanted<Rendered>): string {
    const whose = viewerMatters.has(form) ? viewerKeyOf(principal) : standingOf(principal)
    return `${seenBy(principal, topic).key}\n${conflates}\n${whose}\n${form}`
  }

  /** What was said when it was opened, by whoever came first. */
  const wantedBy = ({ options: { source, conflates, presentation } }: Group<Rendered>): Wanted<Rendered> => ({
    ...{ topic: source.topic, conflates, presentation },
  })

  function place(member: Member<Rendered>, wanted: Wanted<Rendered>): void {
    const key = groupKey(member.principal, wanted)
    let group = groups.get(key)
    if (!group) groups.set(key, (group = openGroup(key, member.principal, wanted)))
    members.set(member, group)
    group.add(member)
  }

  function openGroup(key: string, standing: Principal, { topic, conflates, presentation }: Wanted<Rendered>): Group<Rendered> {
    const { form } = presentation
    const group: Group<Rendered> = new Group<Rendered>({
      ...{ source: sourceOf(seenBy(standing, topic)), presentation, standing, conflates },
      viewerMatters: viewerMatters.has(form),
      ...{ fresh: access.fresh, heartbeatMs, now },
      onFailure: (err) => log.warn({ err, topic: topic.bell }, 'a feed could not go on'),
      onViewerMatters(concerned) {
        viewerMatters.set(form, true)
        for (const member of concerned) place(member, wantedBy(group))
      },
      onGone: (member) => members.delete(member),
      onDeserted: () => groups.delete(key),
    })
    return group
  }

  const rechecks = recheckOnChange<Member<Rendered>, Principal | undefined>({
    onAuthChange: access.onAuthChange,
    members: { [Symbol.iterator]: () => members.keys() },
    subjectsOf: (member) => [...subjectsOf(member.principal), ...(members.get(member)?.options.source.topic.subjects ?? [])],
    doubt: (member) => members.get(member)?.doubt(member),
    ask: reauthorize,
    settle,
    log,
  })

  /** The principals as of now, of those that may go on. */
  async function reauthorize(doubted: readonly Member<Rendered>[]): Promise<(Principal | undefined)[]> {
    const principals = await access.renewPrincipals(doubted.map(({ principal }) => principal))
    const asked = doubted.flatMap((member, at) => {
      const [principal, topic] = [principals[at], members.get(member)?.options.source.topic]
      return principal && topic ? [{ at, principal, topic }] : []
    })
    const may = new Set<number>()
    for (const [kind, some] of Map.groupBy(asked, ({ topic }) => topic.kind)) {
      const answers = await kind.mayFollow(some)
      for (const [index, { at }] of some.entries()) if (answers[index]) may.add(at)
    }
    return principals.map((principal, at) => (may.has(at) ? principal : undefined))
  }

  /** Whoever has another standing now would get something else from now on. */
  function settle(member: Member<Rendered>, principal: Principal | undefined): void {
    const group = members.get(member)
    if (!group) return
    if (!principal) return void group.close(member, 'ACCESS_REVOKED')
    const wanted = wantedBy(group)
    const [before, saw] = [groupKey(member.principal, wanted), seenBy(member.principal, wanted.topic).key]
    member.confirm(principal)
    const { showsByRights } = wanted.topic
    if (groupKey(principal, wanted) === before && !showsByRights) return
    // it sees other things now, and what it was shown before may not be among them
    if (showsByRights || seenBy(principal, wanted.topic).key !== saw) member.anew = true
    group.release(member)
    place(member, wanted)
  }

  async function poll(): Promise<void> {
    const kinds = Map.groupBy([...sources.values()], ({ topic }) => topic.kind)
    for (const [kind, some] of kinds) {
      try {
        const newest = await kind.newest(some.map(({ topic }) => topic))
        for (const [index, source] of some.entries()) source.saw(newest[index])
      } catch (err) {
        log.warn({ err }, 'the sweep of feeds could not read')
      }
    }
  }

  function sweep(): Promise<void> {
    const time = now()
    for (const group of groups.values()) group.tick(time)
    void rechecks.runOnce()
    // single-flight: a database that hangs must not pile up polls, nor hold up expiries and heartbeats
    polling ??= poll().finally(() => (polling = undefined))
    return polling
  }

  async function runOnce(): Promise<number> {
    void sweep()
    return sweepMs
  }
  const loop = createLoop({ name: 'the sweep of feeds', log, runOnce })

  return {
    open({ topic, principal, after, conflates, askedAt }) {
      if (draining) throw new Fault('UNAVAILABLE')
      return {
        follow(presentation, sink) {
          const member = new Member(sink, principal, after)
          place(member, { topic, conflates, presentation })
          if (access.changedSince([...subjectsOf(principal), ...topic.subjects], askedAt)) rechecks.recheck(member)
          if (draining) void members.get(member)?.close(member, 'DRAINING')
          return leaveOf(member)
        },
      }
    },
    async drain(mostMs) {
      draining = true
      await drainMembers([...members.keys()], async (member) => members.get(member)?.close(member, 'DRAINING'), mostMs)
    },
    sweep,
    start: loop.start,
    async stop() {
      for (const [member, group] of members) group.remove(member)
      await loop.stop()
    },
    get size() {
      return members.size
    },
    get groups() {
      return groups.size
    },
  }
}
