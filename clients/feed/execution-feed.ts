/** Following one execution: its state, its steps and its history. */
import { isOlder, mergeByKey, mergeBySeq, newerOf } from './merge.ts'
import type { FeedKind } from './state.ts'

export interface ExecutionState {
  readonly id: string
  readonly status: string
  readonly version: number
  readonly lastSeq: number
  readonly createdAt: string
  readonly startedAt: string | null
  readonly finishedAt: string | null
  readonly durationMs: number | null
  readonly reason: string | null
  readonly output?: unknown
  readonly error: { readonly code: string; readonly message: string; readonly step: string | null } | null
  readonly currentSteps: readonly string[]
  readonly progress: {
    readonly total: number
    readonly finished: number
    readonly failed: number
    readonly skipped: number
    readonly running: number
  }
  readonly flow?: { readonly name: string } | null
  readonly flowVersion?: { readonly number: number } | null
}

export interface StepRun {
  readonly path: string
  readonly name: string
  readonly type: string
  readonly status: string
  readonly attempt: number
  readonly startedAt: string | null
  readonly finishedAt: string | null
  readonly route: string | null
  readonly error: { readonly code: string; readonly message: string } | null
  readonly waitingFor: {
    readonly kind: string
    readonly role: string | null
    readonly signals: readonly string[]
    readonly until: string | null
  } | null
  readonly counts: {
    readonly total: number
    readonly succeeded: number
    readonly failed: number
    readonly skipped: number
    readonly running: number
  } | null
  readonly progress: {
    readonly fraction: number | null
    readonly done: number | null
    readonly total: number | null
    readonly message: string | null
  } | null
}

export interface ExecutionEvent {
  readonly seq: number
  readonly type: string
  readonly at: string
  readonly step: string | null
  readonly path: string | null
  readonly attempt: number | null
  readonly data: unknown
}

/** What a document asks for beyond (or instead of) the default is up to it: the types are parameters. */
export interface ExecutionView<
  Execution extends object = ExecutionState,
  Step extends object = StepRun,
  Event extends { readonly seq: number } = ExecutionEvent,
> {
  readonly execution: Execution | undefined
  /** those of the definition, then the items and iterations that happened since */
  readonly steps: readonly Step[]
  /** in the order of `seq`, each once */
  readonly events: readonly Event[]
}

const DOCUMENT = /* GraphQL */ `
  fragment State on Execution {
    id
    status
    version
    lastSeq
    createdAt
    startedAt
    finishedAt
    durationMs
    reason
    currentSteps
    error {
      code
      message
      step
    }
    progress {
      total
      finished
      failed
      skipped
      running
    }
  }
  fragment Step on StepRun {
    path
    name
    type
    status
    attempt
    startedAt
    finishedAt
    route
    error {
      code
      message
    }
    waitingFor {
      kind
      role
      signals
      until
    }
    counts {
      total
      succeeded
      failed
      skipped
      running
    }
    progress {
      fraction
      done
      total
      message
    }
  }
  fragment Event on ExecutionEvent {
    seq
    type
    at
    step
    path
    attempt
    data
  }
  subscription ExecutionFeed($id: ID!, $after: String) {
    executionFeed(id: $id, after: $after) {
      __typename
      ... on FeedFrame {
        cursor
      }
      ... on FeedSnapshot {
        execution {
          ...State
          flow {
            name
          }
          flowVersion {
            number
          }
          steps {
            ...Step
          }
          events(first: 500) {
            ...Event
          }
        }
      }
      ... on FeedDelta {
        execution {
          ...State
        }
        steps {
          ...Step
        }
        events {
          ...Event
        }
      }
      ... on FeedHeartbeat {
        serverTime
      }
      ... on FeedGap {
        reason
      }
      ... on FeedEnd {
        reason
        execution {
          ...State
          output
        }
      }
      ... on FeedClosed {
        reason
      }
    }
  }
`

/** What a frame, or an answer of `execution(id:)`, may bring. */
interface Part<Execution, Step, Event> {
  readonly execution?: Execution & { readonly steps?: readonly Step[]; readonly events?: readonly Event[] }
  readonly steps?: readonly Step[]
  readonly events?: readonly Event[]
}

/** What is asked for of each; what is left out is not asked for. */
export interface ExecutionFields {
  readonly execution: string
  readonly steps?: string
  readonly events?: string
}

/** `wanted`: fields or a document, with `version` of the execution, `path` of steps and `seq` of events, if there are any of these. */
export function executionFeedOf<
  Execution extends object = ExecutionState,
  Step extends { readonly path: string } = StepRun,
  Event extends { readonly seq: number } = ExecutionEvent,
>(wanted: ExecutionFields | string): FeedKind<ExecutionView<Execution, Step, Event>> {
  return {
    document: typeof wanted === 'string' ? wanted : documentOf(wanted),
    empty: { execution: undefined, steps: [], events: [] },
    take(view, part) {
      const { execution: came, steps = [], events = [] } = part as Part<Execution, Step, Event>
      const { steps: allSteps = [], events: history = [], ...state } = came ?? {}
      // steps are as new as the execution that they came with
      const old = came !== undefined && view.execution !== undefined && isOlder(came, view.execution)
      return {
        execution: came === undefined ? view.execution : newerOf(view.execution, state as Execution),
        steps: old ? view.steps : mergeByKey(view.steps, [...allSteps, ...steps], ({ path }) => path),
        events: mergeBySeq(mergeBySeq(view.events, history), events),
      }
    },
  }
}

function documentOf({ execution, steps, events }: ExecutionFields): string {
  const [ofSteps, ofEvents] = [steps ? `steps { ${steps} }` : '', events ? `{ ${events} }` : '']
  return `subscription ExecutionFeed($id: ID!, $after: String) {
    executionFeed(id: $id, after: $after) {
      __typename
      ... on FeedFrame { cursor }
      ... on FeedSnapshot { execution { ${execution} ${ofSteps} ${ofEvents && `events(first: 500) ${ofEvents}`} } }
      ... on FeedDelta { execution { ${execution} } ${ofSteps} ${ofEvents && `events ${ofEvents}`} }
      ... on FeedGap { reason }
      ... on FeedEnd { reason execution { ${execution} } }
      ... on FeedClosed { reason }
    }
  }`
}

/** One execution: variables `{ id }`. */
export const executionFeed: FeedKind<ExecutionView> = executionFeedOf(DOCUMENT)

/** Between which `seq` events are missing, so that `execution { events(after:) }` can be asked for them. */
export function holesOf(events: readonly { readonly seq: number }[]): { after: number; before: number }[] {
  return events.flatMap(({ seq }, at) => {
    const after = events[at - 1]?.seq ?? 0
    return seq === after + 1 ? [] : [{ after, before: seq }]
  })
}
