/** From frames to the state that a page shows. Pure: the same frames give the same state, and one that comes twice changes nothing. */

/** One message of any feed, as far as all of them are alike. */
export interface Frame {
  readonly __typename: string
  /** where the feed is after it */
  readonly cursor: string
  readonly reason?: string
  readonly serverTime?: string
}

/** Part of the history that is not there for whoever follows. */
export interface Gap {
  readonly reason: string
  /** the last cursor before it */
  readonly after: string | undefined
}

/** A GraphQL error as it comes over the wire. */
export interface FeedError {
  readonly message: string
  readonly extensions?: Readonly<Record<string, unknown>>
}

/** FINISHED and ACCESS_REVOKED are the server's word; REFUSED: it will not have us, `errors` says why. */
export interface FeedEnding {
  readonly reason: string
  readonly errors: readonly FeedError[]
}

/**
 * `live`: frames come. `stale`: heartbeats are missing. `resuming`: there is no connection, or nothing has come over it yet.
 * `ended`: nothing will ever come.
 */
export type FeedStatus = 'live' | 'stale' | 'resuming' | 'ended'

export interface FeedState<View> {
  readonly status: FeedStatus
  readonly view: View
  /** everything up to here is in the view; resume with it as `after` */
  readonly cursor: string | undefined
  readonly gaps: readonly Gap[]
  readonly ending: FeedEnding | undefined
  /** why it resumes */
  readonly problem: string | undefined
  /** the server's clock at the last heartbeat */
  readonly serverTime: string | undefined
}

/** What is followed: the document that asks for it, and what its snapshots and deltas do to the view. */
export interface FeedKind<View> {
  /** one subscription field; takes `$after`; selects `__typename` and `cursor` */
  readonly document: string
  readonly empty: View
  /** `part`: the content of a frame, or an answer of the API about the same thing. What is older than the view changes nothing. */
  take(view: View, part: object): View
}

export const initialState = <View>({ empty }: FeedKind<View>, cursor?: string): FeedState<View> => ({
  status: 'resuming',
  view: empty,
  cursor,
  ...{ gaps: [], ending: undefined, problem: undefined, serverTime: undefined },
})

/** The state after a frame. */
export function reduce<View>(state: FeedState<View>, frame: Frame, kind: FeedKind<View>): FeedState<View> {
  if (state.status === 'ended') return state
  const next: FeedState<View> = { ...state, status: 'live', cursor: frame.cursor, problem: undefined }
  switch (nameOf(frame)) {
    case 'Heartbeat':
      return { ...next, serverTime: frame.serverTime }
    case 'Gap':
      // after a restore the server's past is another one than ours
      return {
        ...next,
        gaps: [...state.gaps, { reason: frame.reason ?? '', after: state.cursor }],
        view: frame.reason === 'RESTORED' ? kind.empty : state.view,
      }
    case 'End':
      return ended({ ...next, view: kind.take(state.view, frame) }, frame.reason ?? 'FINISHED')
    case 'Closed':
      return frame.reason === 'ACCESS_REVOKED'
        ? ended(next, frame.reason)
        : { ...next, status: 'resuming', problem: frame.reason }
    default:
      return { ...next, view: kind.take(state.view, frame) }
  }
}

export const ended = <View>(state: FeedState<View>, reason: string, errors: readonly FeedError[] = []): FeedState<View> => ({
  ...state,
  status: 'ended',
  problem: undefined,
  ending: { reason, errors },
})

/** `FeedSnapshot`, `AuditSnapshot` and so on are snapshots: what their names end in. */
const nameOf = ({ __typename }: Frame): string => /[A-Z][a-z]+$/.exec(__typename)?.[0] ?? __typename
