/** Following the audit log: its last events, the oldest first. */
import { COMMON_FRAMES } from './common-frames.ts'
import { mergeByKey } from './merge.ts'
import type { FeedKind } from './state.ts'

export interface AuditEvent {
  readonly id: string
  readonly type: string
  readonly severity: string
  readonly at: string
  readonly success: boolean
  readonly errorCode: string | null
  readonly actorKind: string
  readonly actor: { readonly handle: string } | null
  readonly executionId: string | null
}

export interface AuditView<Event extends { readonly id: string } = AuditEvent> {
  readonly events: readonly Event[]
}

/** So many are held: the log has no end. */
const KEPT = 1_000

const DOCUMENT = /* GraphQL */ `
  fragment Entry on AuditEvent {
    id
    type
    severity
    at
    success
    errorCode
    actorKind
    actor {
      handle
    }
    executionId
  }
  subscription AuditFeed($filter: AuditFilter, $after: String) {
    auditFeed(filter: $filter, after: $after) {
      __typename
      ${COMMON_FRAMES}
      ... on AuditSnapshot {
        events {
          ...Entry
        }
      }
      ... on AuditDelta {
        events {
          ...Entry
        }
      }
    }
  }
`

/** An own document selects `id` of the events. Of these the last `keep` are held. */
export function auditFeedOf<Event extends { readonly id: string } = AuditEvent>(
  document: string,
  keep = KEPT,
): FeedKind<AuditView<Event>> {
  return {
    document,
    empty: { events: [] },
    take(view, part) {
      const { events = [] } = part as { events?: readonly Event[] }
      const all = mergeByKey(view.events, events, ({ id }) => id)
      return { events: all.length > keep ? all.slice(-keep) : all }
    },
  }
}

/** The audit log, for administrators: variables `{ filter }`. */
export const auditFeed: FeedKind<AuditView> = auditFeedOf(DOCUMENT)
