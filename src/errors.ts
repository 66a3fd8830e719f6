/** The one table of codes, and the two planes of errors: problems (data, returned) and faults (thrown). */

/** Business outcomes: returned as values by use cases, shown as typed problems in mutation results. */
export const PROBLEM_CODES = {
  VALIDATION: 'The input does not fit; `issues` lists every problem with its path.',
  NOT_FOUND: 'There is no such thing, or none that you may see.',
  STALE_VERSION: 'It was changed meanwhile; read it again and repeat with `currentVersion`.',
  LIMIT_REACHED: 'A limit is reached; try again after `retryAfterMs`.',
  IDEMPOTENCY_MISMATCH: 'This idempotency key was used with another input.',
  ILLEGAL_STATE: 'Not possible in the present state.',
  AMBIGUOUS: 'Several things have this name; use `owner/name` or the id.',
  STATE_TOO_LARGE: 'The input or state is over its limit; the message names size and limit.',
  UNAUTHENTICATED: 'The credentials are not valid.',
} as const
export type ProblemCode = keyof typeof PROBLEM_CODES

/** Faults: thrown, shown as top-level GraphQL errors with `extensions.code` and this HTTP status. */
export const FAULTS = {
  BAD_REQUEST: { status: 400, text: 'The request is malformed.' },
  BAD_CURSOR: { status: 400, text: 'The cursor is not one that this connection or feed gave out.' },
  TOO_COMPLEX: { status: 400, text: 'The operation asks for too much at once.' },
  UNAUTHENTICATED: { status: 401, text: 'Sign in first.' },
  FORBIDDEN: { status: 403, text: 'Not allowed.' },
  NOT_FOUND: { status: 404, text: 'There is no such thing, or none that you may see.' },
  AMBIGUOUS: { status: 400, text: 'Several things have this name; use `owner/name` or the id.' },
  METHOD_NOT_ALLOWED: { status: 405, text: 'Use POST.' },
  REQUEST_TIMEOUT: { status: 408, text: 'The request did not arrive in time.' },
  LENGTH_REQUIRED: { status: 411, text: 'Send a content-length.' },
  PAYLOAD_TOO_LARGE: { status: 413, text: 'The body is too large.' },
  UNSUPPORTED_MEDIA_TYPE: { status: 415, text: 'Send application/json.' },
  HEADERS_TOO_LARGE: { status: 431, text: 'The headers are over 16 KiB.' },
  RATE_LIMITED: { status: 429, text: 'Too many requests; `retryAfterMs` says when to come back.' },
  RESPONSE_TOO_LARGE: { status: 400, text: 'The answer would be over 10 MB; ask for less.' },
  UNAVAILABLE: { status: 503, text: 'The server cannot answer now; try again.' },
  INTERNAL: { status: 500, text: 'Something went wrong on our side.' },
} as const
export type FaultCode = keyof typeof FAULTS

/** Why a step, and with it an execution, failed: stored with it and shown as `error { code message step }`. */
export const STEP_ERRORS = {
  STEP_FAILED: 'The handler threw, or said that it failed.',
  TIMEOUT: 'The step did not end within its timeout.',
  EXPRESSION_FAILED: 'An expression could not be evaluated.',
  NO_ROUTE: 'No case of the route matched and it has no `otherwise`.',
  INVALID_OUTPUT: 'What the step returned is not JSON, or does not fit its `returns`.',
  UNSTORABLE_OUTPUT: 'The output holds what the database cannot store.',
  STATE_TOO_LARGE: 'The state is over its limit; the message names size and limit.',
  HANDLER_CRASHED: 'The process that ran the handler ended while it ran.',
  RESOURCE_EXCEEDED: 'The handler took more CPU time or memory than it may.',
  HANDLER_NOT_REGISTERED: 'No handler of this name is registered where the step ran.',
  NOT_ALLOWED:
    'The definition names something that is not on the allow-list any more, or whoever started it may not run it any more.',
  QUERY_FAILED: 'The source of a query could not be reached, or refused it; the message says why.',
  SECRET_UNAVAILABLE: "A secret that the step names is not there, cannot be read, or is not the flow's to use.",
  OUTCOME_UNKNOWN: 'The worker was lost while the step ran, and the step may run at most once.',
  POISONED: 'The step crashed its worker three times while it ran alone.',
  HTTP_NETWORK: 'The service could not be reached, or the connection broke.',
  HTTP_4XX: 'The service refused the request: an answer of 400 to 499 that the step does not expect.',
  HTTP_5XX: 'The service failed: an answer of 500 to 599 that the step does not expect.',
  HTTP_STATUS: 'Another answer that the step does not expect.',
  HTTP_ANSWER: 'The answer cannot be used: it is too large, not what it says it is, or its certificate is not trusted.',
  HTTP_REFUSED: 'The call may not be made: its URL, its address, a header or a redirect.',
  HTTP_BUSY: 'Too many calls to the service are under way.',
  CIRCUIT_OPEN: 'The service failed again and again; it is left alone for a while.',
  AGENT_TIMEOUT: 'Nobody answered in time.',
  APPROVAL_TIMEOUT: 'People did not decide in time.',
  SIGNAL_TIMEOUT: 'The signals that the step waits for did not come in time.',
  ITEM_FAILED: 'More items of a map failed than it tolerates; the message has the last failure.',
  LOOP_EXHAUSTED: 'A loop was not done after all its times.',
  FLOW_NOT_FOUND: 'There is no such flow, or none that whoever started the execution may see.',
  INVALID_INPUT: 'The input does not fit the flow that the step starts.',
  TOO_MANY_CHILDREN: 'Too many children are under way at once, or flows call each other too deep.',
  LIMIT_REACHED: 'As many executions of the flow that the step starts run, or were started lately, as its limits let.',
  CHILD_FAILED: 'The child execution ended without success; the message names it.',
  FLOW_FAILED: 'A `fail` step ended the execution.',
  FLOW_TIMEOUT: 'The execution did not end within the timeout of its flow.',
  CANCELED: 'The execution was canceled.',
} as const
export type StepErrorCode = keyof typeof STEP_ERRORS

/** Why an answer that an agent sent over Redis was refused, beside the problems and faults that the same answer by the API may have. */
export const ANSWER_REFUSALS = {
  TOO_LARGE: 'The message has more bytes than an answer may have.',
  MALFORMED: 'It is not what docs/agents.md says: a field is missing, unknown, or of another kind.',
  UNKNOWN_KEY: 'No key has this fingerprint.',
  KEY_CANNOT_SIGN:
    "The key is no agent's, was made before agents signed, or was sealed with a SLUICE_SECRETS_KEY that the servers have no more: make a new one.",
  BAD_SIGNATURE: 'The signature is not that of the key, or the message was changed.',
  KEY_ENDED: 'The key was revoked, has expired, or has no role that there is.',
  EXPIRED: 'The message was good for too short or too long, or its times are not those of the server.',
  REPLAYED: 'A message with this nonce came before.',
  UNKNOWN_ROLE: 'There is no such agent role.',
  WRONG_ROLE: 'The key does not have this role.',
  RATE_LIMITED: 'Too many answers of this key; `retryAfterMs` says when to come back.',
} as const
export type AnswerRefusal = keyof typeof ANSWER_REFUSALS

/** One mistake in something that was sent; `path` leads to it, key by key. */
export interface Issue {
  code: string
  message: string
  path: string[]
  hint?: string
}

/** A refused request, as data. Use cases return it; `isProblem` tells it from a result. */
export interface Problem {
  readonly problem: ProblemCode
  readonly message: string
  readonly path?: string[]
  readonly issues?: Issue[]
  readonly currentVersion?: number
  readonly retryAfterMs?: number
  readonly candidates?: string[]
}

export function problem(code: ProblemCode, more: Omit<Partial<Problem>, 'problem'> = {}): Problem {
  return { ...more, problem: code, message: more.message ?? PROBLEM_CODES[code] }
}

export function isProblem(value: unknown): value is Problem {
  return typeof value === 'object' && value !== null && 'problem' in value
}

/** A refusal or failure of the whole request. `detail` is shown to the caller; `cause` only to the log. */
export class Fault extends Error {
  readonly code: FaultCode
  readonly extensions: Record<string, unknown>

  constructor(code: FaultCode, detail?: string, options: ErrorOptions & { extensions?: Record<string, unknown> } = {}) {
    super(detail ?? FAULTS[code].text, options)
    this.name = 'Fault'
    this.code = code
    this.extensions = { ...options.extensions, code }
  }
}
