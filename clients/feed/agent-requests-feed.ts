/** Following an inbox: what is open of what a role, or whoever follows, is asked. */
import { COMMON_FRAMES } from './common-frames.ts'
import { mergeByKey } from './merge.ts'
import type { FeedKind } from './state.ts'

export interface AgentRequest {
  readonly id: string
  readonly version: number
  readonly status: string
  readonly kind: string
  readonly role: string
  readonly subject: string
  readonly createdAt: string
  readonly deadlineAt: string | null
  readonly step: string
  readonly execution: { readonly id: string } | null
}

export interface AgentRequestsView<Request extends { readonly id: string } = AgentRequest> {
  /** those that are open, the oldest first */
  readonly requests: readonly Request[]
  /** more were open than the snapshot holds: ask `agentRequests` for them */
  readonly hasMore: boolean
}

const DOCUMENT = /* GraphQL */ `
  fragment Request on AgentRequest {
    id
    version
    status
    kind
    role
    subject
    createdAt
    deadlineAt
    step
    execution {
      id
    }
  }
  subscription AgentRequestsFeed($role: String, $after: String) {
    agentRequestsFeed(role: $role, after: $after) {
      __typename
      ${COMMON_FRAMES}
      ... on AgentRequestsSnapshot {
        requests {
          ...Request
        }
        hasMore
      }
      ... on AgentRequestsDelta {
        requests {
          ...Request
        }
      }
    }
  }
`

/** An own document selects `id`, `version` and `status` of the requests, and `hasMore`. */
export function agentRequestsFeedOf<Request extends { readonly id: string; readonly status: string } = AgentRequest>(
  document: string,
): FeedKind<AgentRequestsView<Request>> {
  return {
    document,
    empty: { requests: [], hasMore: false },
    take(view, part) {
      const {
        __typename,
        requests = [],
        hasMore = view.hasMore,
      } = part as {
        __typename?: string
        requests?: readonly Request[]
        hasMore?: boolean
      }
      if (requests.length === 0 && __typename !== 'AgentRequestsSnapshot') return view
      // a snapshot is all that there is
      const held = __typename === 'AgentRequestsSnapshot' ? [] : view.requests
      const all = mergeByKey(held, requests, ({ id }) => id)
      // ids grow with time
      return { requests: all.filter(({ status }) => status === 'OPEN').sort((a, b) => (a.id < b.id ? -1 : 1)), hasMore }
    },
  }
}

/** An inbox: variables `{ role }`, or none for all that I may see. */
export const agentRequestsFeed: FeedKind<AgentRequestsView> = agentRequestsFeedOf(DOCUMENT)
