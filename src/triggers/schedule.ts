/** A schedule as it is now: what is kept about a trigger of type `schedule`, and the trigger itself. */
import type { ScheduleTrigger } from '../language/triggers/schedule.ts'
import type { Trigger } from './entities/trigger.ts'

/** Why the last firing came to nothing, until one starts. */
export interface ScheduleProblem {
  code: string
  message: string
  /** RFC 3339 */
  at: string
}

export interface Schedule {
  /** of its trigger */
  id: string
  name: string
  flowId: string
  /** as it stands in the definition */
  definition: ScheduleTrigger
  /** whom it runs as */
  publishedBy: Trigger['publishedBy']
  /** the scheduled time that is next */
  nextFor: Date | null
  pausedAt: Date | null
  pausedBy: string | null
  pauseReason: string | null
  lastProblem: ScheduleProblem | null
  version: number
}

/** Of the tables `s` (schedules) and `t` (triggers). */
export const SCHEDULE_COLUMNS = `
  t.id, t.name, t.flow_id as "flowId", t.definition, t.published_by as "publishedBy", s.next_for as "nextFor", s.paused_at as "pausedAt",
  s.paused_by as "pausedBy", s.pause_reason as "pauseReason", s.last_problem as "lastProblem", s.version`
