/** What an error of the network, of TLS, of HTTP or of unpacking means. */
import { BulkheadRejectedError } from 'cockatiel'
import { OriginFault } from './circuits.ts'
import { OutboundFailure } from './outbound-problem.ts'

const UNTRUSTED = /CERT|^UNABLE_TO_|^ERR_TLS_|SELF_SIGNED|^ERR_SSL_/
/** HTTP's parser, gzip and deflate, brotli */
const UNREADABLE = /^(?:HPE_|Z_|ERR__ERROR_|ERR_BROTLI)/

/** An error without a code is a mistake of ours and comes back as it is. */
export function failureOf(error: unknown, origin: string): unknown {
  if (error instanceof OutboundFailure) return error
  if (error instanceof BulkheadRejectedError) return new OutboundFailure('BUSY', 'Too many names are being looked up.')
  const code = (error as { code?: unknown } | null)?.code
  if (typeof code !== 'string') return error
  if (UNTRUSTED.test(code)) return new OutboundFailure('UNTRUSTED', `The certificate of ${origin} is not trusted (${code}).`)
  if (UNREADABLE.test(code)) return new OutboundFailure('UNREADABLE', `The answer of ${origin} cannot be read (${code}).`)
  if (code === 'UND_ERR_HEADERS_OVERFLOW') return new OutboundFailure('TOO_LARGE', `The headers of ${origin} are too large.`)
  if (code === 'UND_ERR_INVALID_ARG') return new OutboundFailure('REFUSED', 'The request cannot be sent as HTTP.')
  return new OriginFault(new OutboundFailure('NETWORK', `${origin} could not be reached (${code}).`))
}
