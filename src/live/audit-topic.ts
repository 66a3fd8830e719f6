/** The audit log as a topic, for each filter one: what is sealed, within a second of its commit. */
import type { AuditFilter } from '../audit/audit-filter.ts'
import { canonicalJson } from '../canonical-json.ts'
import type { Database } from '../database/database.ts'
import { Fault } from '../errors.ts'
import type { Principal } from '../identity/principal.ts'
import { NOTHING_TOLD, positionIn } from './audit-cursor.ts'
import type { Feed, Feeds } from './feeds.ts'
import { createAuditReader } from './read-audit.ts'
import type { AuditFrame } from './read-audit.ts'
import type { Topic, TopicKind } from './topic.ts'

/** On the bus: rung with the position of each new seal. */
export const AUDIT_BELL = 'audit'

/** Who wants to follow the audit log, and what of it. */
export interface AuditFeedOrder {
  readonly principal: Principal
  readonly filter: AuditFilter
  /** resume after this cursor, of this filter or another; none = begin with a snapshot */
  readonly after?: string | null | undefined
}

/** Throws Fault BAD_CURSOR, FORBIDDEN and UNAVAILABLE (draining). */
export type OpenAuditFeed<Rendered> = (order: AuditFeedOrder) => Promise<Feed<Rendered>>

export interface AuditFeedsOptions<Rendered> {
  readonly database: Database
  readonly mayReadAudit: (principal: Principal) => boolean
  readonly feeds: Pick<Feeds<Rendered>, 'open'>
}

export function createAuditFeeds<Rendered>({
  database,
  mayReadAudit,
  feeds,
}: AuditFeedsOptions<Rendered>): OpenAuditFeed<Rendered> {
  const reader = createAuditReader(database)

  const kind: TopicKind = {
    name: 'audit',
    async newest(topics) {
      const end = await reader.end()
      return topics.map(() => end)
    },
    mayFollow: async (asked) => asked.map(({ principal }) => mayReadAudit(principal)),
  }

  const topicOf = (filter: AuditFilter): Topic<AuditFrame> => ({
    kind,
    key: `audit ${canonicalJson(filter)}`,
    bell: AUDIT_BELL,
    subjects: [],
    start: NOTHING_TOLD,
    read: (after, { upTo }) => reader.read(filter, after, upTo),
    compare: (a, b) => positionIn(a) - positionIn(b),
    isNews: (cursor, payload) => readPosition(payload) > positionIn(cursor),
  })

  return async ({ principal, filter, after }) => {
    if (after != null) positionIn(after)
    const askedAt = performance.now()
    if (!mayReadAudit(principal)) throw new Fault('FORBIDDEN')
    const from = after == null || after === NOTHING_TOLD ? undefined : after
    return feeds.open({ topic: topicOf(filter), principal, after: from, conflates: false, askedAt })
  }
}

/** A ring may come without its payload: then it says only that something happened. */
const readPosition = (payload: string | undefined): number => (payload && /^\d{1,15}$/.test(payload) ? Number(payload) : Infinity)
