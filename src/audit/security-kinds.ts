/** What raises security events (C8, B14, D7): the closed list of kinds, what each counts, how bad it is, and what to do. */
import type { SecurityConfig } from '../config/config-types.ts'
import { encodeId } from '../ids.ts'
import type { IdKind } from '../ids.ts'
import type { Severity } from './audit-entry.ts'

/** What a count is about; EVERYBODY: all subjects together, which shows what many small ones hide. */
export const SUBJECT_KINDS = ['USER', 'API_KEY', 'AGENT', 'LINK', 'ADDRESS', 'FLOW', 'EVERYBODY'] as const
export type SubjectKind = (typeof SUBJECT_KINDS)[number]

export interface Subject {
  readonly kind: SubjectKind
  /** a UUID, or an address (`addressKey`); empty for EVERYBODY */
  readonly id: string
}

export const EVERYBODY: Subject = { kind: 'EVERYBODY', id: '' }

const ID_KINDS: Partial<Record<SubjectKind, IdKind>> = {
  USER: 'user',
  API_KEY: 'apiKey',
  AGENT: 'apiKey',
  LINK: 'executionLink',
  FLOW: 'flow',
}

/** As people and other systems read it: a readable id, an address; undefined for EVERYBODY. */
export function subjectId({ kind, id }: Subject): string | undefined {
  const named = ID_KINDS[kind]
  return named ? encodeId(named, id) : id || undefined
}

export interface SecurityKindRule {
  readonly severity: Exclude<Severity, 'INFO'>
  /** so many of one subject in one window raise an event; 0 = none do */
  threshold(limits: SecurityConfig): number
  /** that many times the threshold raises one for EVERYBODY, whoever they are */
  readonly together?: number
  /** raised only by so many times the busiest window that the subject had in the day before */
  readonly timesUsual?: (limits: SecurityConfig) => number
  /** what was counted */
  readonly what: string
  /** what an operator does about it */
  readonly advice: string
}

/** A subject that is in danger itself: one is too many. */
const ONCE = () => 1

export const SECURITY_KINDS = {
  SIGN_IN_FAILURES: {
    severity: 'WARNING',
    threshold: ({ signInFailures }) => signInFailures,
    together: 10,
    what: 'Attempts to sign in, or to change or reset a password, that failed: from one address, or on one account.',
    advice: 'Block the address at your proxy. If it is about an account, ask its owner; a new password ends its sessions.',
  },
  WRONG_TOKENS: {
    severity: 'WARNING',
    threshold: ({ wrongTokens }) => wrongTokens,
    together: 10,
    what: 'Access tokens, refresh tokens, keys or links that are not valid, or not any more, from one address.',
    advice: 'A program that lost its key, or somebody who guesses: find out whose address it is, and block it.',
  },
  TOKEN_REUSED: {
    severity: 'CRITICAL',
    threshold: ONCE,
    what: 'A refresh token of this user was used twice: somebody has a copy. Its session was ended.',
    advice: 'Ask the user; end all sessions of the account and set a new password if it was not a fault of the client.',
  },
  REFUSALS: {
    severity: 'WARNING',
    threshold: ({ refusals }) => refusals,
    together: 20,
    what: 'Requests that were refused, such as things that the caller may see but not do.',
    advice: 'Read `auditEvents` of this actor or address. Revoke the key, or disable the account, if it looks around.',
  },
  LIMITS_REACHED: {
    severity: 'NOTICE',
    threshold: ({ limitsReached }) => limitsReached,
    together: 20,
    what: 'Requests refused since a limit was reached.',
    advice: 'A client that does not wait for `retryAfterMs`, or an attack: mend it, block it, or raise its limit.',
  },
  UNUSUAL_REQUESTS: {
    severity: 'NOTICE',
    threshold: ({ unusualRequests }) => unusualRequests,
    timesUsual: ({ unusualFactor }) => unusualFactor,
    what: 'Requests of a principal, many times as many as in its busiest window of the day before.',
    advice: 'Ask whose it is what changed. If nothing did, its token or key is in other hands: revoke it.',
  },
  UNUSUAL_STARTS: {
    severity: 'NOTICE',
    threshold: ({ unusualStarts }) => unusualStarts,
    timesUsual: ({ unusualFactor }) => unusualFactor,
    what: 'Executions that a principal started, many times as many as in its busiest window of the day before.',
    advice: 'Ask whose it is what changed. Cancel what should not run, and revoke the key.',
  },
  BULK_READS: {
    severity: 'WARNING',
    threshold: ({ rowsRead }) => rowsRead,
    what: 'Things that a principal read from lists.',
    advice: 'An export that you know of, or data that leaves: ask whose it is, and revoke the key if nobody can say.',
  },
  BULK_UNMASKS: {
    severity: 'CRITICAL',
    threshold: ({ unmasked }) => unmasked,
    what: 'Executions of which a principal read what is marked as sensitive.',
    advice: 'Each is in the audit log (`execution.unmasked`). Ask who did it; end the sessions of the account if nobody did.',
  },
  FAILING_STEPS: {
    severity: 'WARNING',
    threshold: ({ failedSteps }) => failedSteps,
    what: 'Attempts of steps of one flow that failed.',
    advice: "Look at the flow's failed executions: what they call may be down, or was changed.",
  },
  FAILING_EXECUTIONS: {
    severity: 'WARNING',
    threshold: ({ failedExecutions }) => failedExecutions,
    what: 'Executions of one flow that failed or did not end in time.',
    advice: 'Look at `executions(filter: { status: [FAILED, TIMED_OUT] })` of the flow; `error` and `reason` say why.',
  },
  REFUSED_SCHEDULES: {
    severity: 'WARNING',
    threshold: ONCE,
    what: 'A schedule of this flow was due and could not start it.',
    advice:
      'Its `lastProblem` says why. If whoever published it may not start the flow any more, somebody who may publishes it anew.',
  },
  HANDLER_CRASHES: {
    severity: 'WARNING',
    threshold: ({ handlerCrashes }) => handlerCrashes,
    what: 'Handlers in steps of one flow whose process ended while they ran.',
    advice: 'Look at the memory and the log of the worker, and at the input of these executions.',
  },
  RESOURCES_EXCEEDED: {
    severity: 'WARNING',
    threshold: ({ handlerCrashes }) => handlerCrashes,
    what: 'Handlers in steps of one flow that took more CPU time or memory than they may.',
    advice:
      'Look at `resourceUse` and at the input of these executions; mend the handler, or give it more by `SLUICE_HANDLER_CPU_MS` and `SLUICE_HANDLER_MEMORY_MB`.',
  },
  POISONED_STEPS: {
    severity: 'CRITICAL',
    threshold: ONCE,
    what: 'A step of this flow took its worker down three times and was given up.',
    advice: 'Do not retry it before its handler is mended: the input that does it is in the execution.',
  },
  SECRETS_REFUSED: {
    severity: 'WARNING',
    threshold: ONCE,
    what: 'A step of this flow named a secret of its owner, who did not publish the version that runs.',
    advice: 'Look who published it, and whether the flow changed hands: its owner publishes it anew, or the flow must not run.',
  },
  SECRETS_TAMPERED: {
    severity: 'CRITICAL',
    threshold: ONCE,
    what: 'A secret that a step of this flow names was changed in the database, by something else than Sluice.',
    advice: 'Find out who had access to the database. Its owner sets the secret anew.',
  },
  AUDIT_BROKEN: {
    severity: 'CRITICAL',
    threshold: ONCE,
    together: 1,
    what: 'The audit log is not as it was written.',
    advice: 'Keep a copy of the database, run `sluice audit verify`, and find out who had access to it.',
  },
} as const satisfies Record<string, SecurityKindRule>
export type SecurityKind = keyof typeof SECURITY_KINDS

export const SECURITY_KIND_NAMES = Object.keys(SECURITY_KINDS) as SecurityKind[]
export const ruleOf = (kind: SecurityKind): SecurityKindRule => SECURITY_KINDS[kind]

/** `security.signInFailures`: the type of the audit event. */
export const auditTypeOf = (kind: SecurityKind): string =>
  `security.${kind.toLowerCase().replaceAll(/_(\w)/g, (_all, letter: string) => letter.toUpperCase())}`

/** How many of `subject` in one window raise an event; Infinity: none do. */
export function thresholdOf(kind: SecurityKind, subject: Pick<Subject, 'kind'>, limits: SecurityConfig): number {
  const { threshold, together } = ruleOf(kind)
  const own = threshold(limits)
  const factor = subject.kind === 'EVERYBODY' ? (together ?? 0) : 1
  return own * factor || Number.POSITIVE_INFINITY
}
