/** A duration in a definition, or the issue that it is none. */
import { formatDuration, parseDuration } from './duration.ts'
import type { IssueList } from './issue-list.ts'

/** Milliseconds; an issue, and 0, when the text is no duration or shorter than `minMs`. */
export function readDuration(text: string, path: readonly string[], { issues }: { issues: IssueList }, minMs = 0): number {
  const ms = parseDuration(text)
  if (ms !== undefined && ms >= minMs) return ms
  if (ms === undefined) issues.add('INVALID_DURATION', path, undefined, 'like PT30S, PT1H30M or P7D; at most P3650D')
  else issues.add('INVALID_DURATION', path, `at least ${formatDuration(minMs)}`)
  return 0
}
