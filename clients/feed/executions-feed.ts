/** Following all executions that match a filter: a wall screen. */
import { COMMON_FRAMES } from './common-frames.ts'
import { mergeByKey } from './merge.ts'
import type { FeedKind } from './state.ts'

export interface ExecutionRow {
  readonly id: string
  readonly status: string
  readonly version: number
  readonly createdAt: string
  readonly startedAt: string | null
  readonly finishedAt: string | null
  readonly durationMs: number | null
  readonly currentSteps: readonly string[]
  readonly progress: { readonly total: number; readonly finished: number; readonly failed: number }
  readonly error: { readonly code: string; readonly message: string } | null
  readonly flow: { readonly name: string } | null
}

export interface ExecutionsView<Row extends { readonly id: string } = ExecutionRow> {
  /** the newest first */
  readonly executions: readonly Row[]
}

/** So many are held. */
const KEPT = 500

const DOCUMENT = /* GraphQL */ `
  fragment Row on Execution {
    id
    status
    version
    createdAt
    startedAt
    finishedAt
    durationMs
    currentSteps
    progress {
      total
      finished
      failed
    }
    error {
      code
      message
    }
    flow {
      name
    }
  }
  subscription ExecutionsFeed($filter: ExecutionFilter, $after: String) {
    executionsFeed(filter: $filter, after: $after) {
      __typename
      ${COMMON_FRAMES}
      ... on ExecutionsSnapshot {
        executions {
          ...Row
        }
      }
      ... on ExecutionsDelta {
        executions {
          ...Row
        }
        left
      }
    }
  }
`

/** An own document selects `id` and `version` of the executions, and `left`. Of these the newest `keep` are held. */
export function executionsFeedOf<Row extends { readonly id: string } = ExecutionRow>(
  document: string,
  keep = KEPT,
): FeedKind<ExecutionsView<Row>> {
  return {
    document,
    empty: { executions: [] },
    take(view, part) {
      const {
        __typename,
        executions = [],
        left = [],
      } = part as {
        __typename?: string
        executions?: readonly Row[]
        left?: readonly string[]
      }
      if (executions.length === 0 && left.length === 0 && __typename !== 'ExecutionsSnapshot') return view
      // a snapshot is all that there is
      const held = __typename === 'ExecutionsSnapshot' ? [] : view.executions
      const gone = new Set(left)
      const all = mergeByKey(held, executions, ({ id }) => id).filter(({ id }) => !gone.has(id))
      // ids grow with time
      return { executions: all.sort((a, b) => (a.id < b.id ? 1 : -1)).slice(0, keep) }
    },
  }
}

/** The executions that I may see: variables `{ filter }`. */
export const executionsFeed: FeedKind<ExecutionsView> = executionsFeedOf(DOCUMENT)
