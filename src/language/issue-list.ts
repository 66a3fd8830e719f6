/** The codes of everything that can be wrong with a definition or an input, and the list that collects them. */
import type { Issue } from '../errors.ts'

export const ISSUE_CODES = {
  NOT_JSON: 'It is not JSON.',
  TOO_LARGE: 'It is larger than allowed.',
  TOO_DEEP: 'It is nested deeper than allowed.',
  FORBIDDEN_KEY: 'The key is one that could reach into prototypes.',
  FORBIDDEN_CONTENT: 'The text looks like code.',
  REQUIRED: 'The field is missing.',
  UNKNOWN_FIELD: 'There is no such field.',
  INVALID_TYPE: 'The value has the wrong type.',
  INVALID_VALUE: 'The value is not allowed.',
  INVALID_NAME: 'The name has characters that are not allowed.',
  INVALID_DURATION: 'It is not an ISO 8601 duration of days, hours, minutes and seconds.',
  INVALID_EXPRESSION: 'The expression cannot be compiled.',
  INVALID_SCHEMA: 'The JSON Schema cannot be compiled.',
  UNKNOWN_STEP_TYPE: 'There is no such step type.',
  UNKNOWN_TRIGGER_TYPE: 'There is no such trigger type.',
  UNKNOWN_STEP: 'There is no such step.',
  UNKNOWN_ROUTE: 'The router never takes this route.',
  UNKNOWN_ROLE: 'The role is not on the list.',
  UNKNOWN_HANDLER: 'No such handler is registered.',
  UNKNOWN_SOURCE: 'No such source is configured.',
  UNKNOWN_POOL: 'No such pool is configured.',
  INVALID_SQL: 'PostgreSQL would not run the query.',
  FORBIDDEN_SQL: 'The query is more than one SELECT that reads and computes with parameters.',
  UNKNOWN_FUNCTION: 'Expressions have no such function.',
  NOT_A_ROUTER: 'Only steps of type route have routes.',
  SELF_REFERENCE: 'A step cannot wait for itself.',
  CYCLE: 'The steps wait for each other in a circle.',
  NOT_COMPENSATING: 'A step of this type cannot undo another.',
  DUPLICATE: 'It is named twice.',
  // warnings
  CAPPED: 'The value is over the limit; the limit is used.',
  NO_EFFECT: 'The field has no effect here.',
  TOO_SHORT: 'The time is over before what it bounds can end.',
  DEADLOCK: 'It may wait for itself.',
  TOO_LITTLE: 'It is less than what may be needed.',
  UNREACHABLE: 'The step can never run.',
  NO_OTHERWISE: 'The execution fails when no case matches.',
  ROUTE_UNHEARD: 'No step listens to this route.',
  NOT_UPSTREAM: 'The expression reads a step that this one does not wait for.',
  NOT_A_PARTICIPANT: 'The role is not among the participants.',
  UNBOUNDED: 'Nothing but the limits of the server bounds it.',
  UNKNOWN_PATH: 'The expression reads what its schema does not have.',
  TYPE_MISMATCH: 'The value has a type that is not wanted there.',
  LOOSE_SCHEMA: 'The JSON Schema is accepted, but probably does not mean what it says.',
} as const satisfies Record<string, string>
export type IssueCode = keyof typeof ISSUE_CODES

/** More would not be read, and a hostile definition could have millions. */
export const MAX_ISSUES = 100

type Hint = string | (() => string | undefined) | undefined

/** Collects issues up to the cap. Messages and paths quote what was sent only in short pieces. */
export class IssueList {
  readonly issues: Issue[] = []

  get empty(): boolean {
    return this.issues.length === 0
  }

  get full(): boolean {
    return this.issues.length >= MAX_ISSUES
  }

  /** A hint that takes a search is given as a function: a hostile definition has more mistakes than are kept. */
  add(code: IssueCode, path: readonly PropertyKey[], message: string = ISSUE_CODES[code], hint?: Hint): void {
    if (this.full) return
    const issue: Issue = { code, message: shorten(message, 300), path: path.map((key) => shorten(String(key), 100)) }
    const help = typeof hint === 'function' ? hint() : hint
    if (help !== undefined) issue.hint = help
    this.issues.push(issue)
  }
}

function shorten(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length).toWellFormed()}...`
}
