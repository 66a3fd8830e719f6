/** Feeds in React: a component that uses one shows it live, and the feed rests when the component is gone. */
import { useMemo, useSyncExternalStore } from 'react'
import { createFeed, executionFeed } from './feed.ts'
import type { ExecutionView, FeedOptions, FeedState } from './feed.ts'

/** The state of a feed. Another transport, kind or other variables are another feed. */
export function useFeed<View>(options: FeedOptions<View>): FeedState<View> {
  const { transport, kind, variables } = options
  const asked = JSON.stringify(variables)
  const feed = useMemo(() => createFeed(options), [transport, kind, asked])
  const state = (): FeedState<View> => feed.state
  return useSyncExternalStore(feed.subscribe, state, state)
}

/** One execution, live. */
export function useExecutionFeed(
  id: string,
  options: Omit<FeedOptions<ExecutionView>, 'kind' | 'variables'> & Partial<Pick<FeedOptions<ExecutionView>, 'kind'>>,
): FeedState<ExecutionView> {
  return useFeed({ kind: executionFeed, ...options, variables: { id } })
}
