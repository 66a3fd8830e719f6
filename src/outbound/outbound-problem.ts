/** Why a request to the outside came to nothing, as data. */

export const OUTBOUND_PROBLEMS = {
  REFUSED: 'The request may not be sent: its URL, its address, its headers or its size.',
  REDIRECT_REFUSED: 'The answer redirects where the request may not follow.',
  NETWORK: 'The service could not be reached, or the connection broke.',
  TIMEOUT: 'The answer was not complete in time.',
  UNTRUSTED: 'The certificate of the service is not trusted.',
  UNREADABLE: 'The answer is no HTTP that can be read, or its encoding is unknown.',
  TOO_LARGE: 'The answer is larger than it may be.',
  CIRCUIT_OPEN: 'The service failed again and again; it is left alone for a while.',
  BUSY: 'Too many requests to the service are under way.',
  CANCELED: 'Whoever asked does not want it any more.',
} as const
export type OutboundProblemCode = keyof typeof OUTBOUND_PROBLEMS

/** `message` names the origin at most: paths, queries, headers and bodies may hold secrets, addresses tell of networks. */
export interface OutboundProblem {
  readonly ok: false
  readonly code: OutboundProblemCode
  readonly message: string
}

export const outboundProblem = (code: OutboundProblemCode, message: string): OutboundProblem => ({ ok: false, code, message })

/** Carries a problem up to whoever turns it into a value again. */
export class OutboundFailure extends Error {
  readonly problem: OutboundProblem

  constructor(code: OutboundProblemCode, message: string) {
    super(message)
    this.problem = outboundProblem(code, message)
  }
}
