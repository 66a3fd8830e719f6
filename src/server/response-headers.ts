/** Headers of every answer: helmet's, the content security policy, CORS for allowed origins. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import helmet from 'helmet'
import { PREFLIGHTED } from './read-request.ts'

/** `style-src` needs 'unsafe-inline': Monaco, the editor inside GraphiQL, sets style attributes. Scripts come from here only. */
const CONTENT_SECURITY_POLICY = {
  useDefaults: false,
  directives: {
    defaultSrc: ["'self'"],
    scriptSrc: ["'self'"],
    styleSrc: ["'self'", "'unsafe-inline'"],
    imgSrc: ["'self'", 'data:'],
    fontSrc: ["'self'", 'data:'],
    connectSrc: ["'self'"],
    workerSrc: ["'self'", 'blob:'],
    objectSrc: ["'none'"],
    baseUri: ["'none'"],
    formAction: ["'none'"],
    frameAncestors: ["'none'"],
  },
}

/** Sets the security headers (B8); `overTls`: browsers shall come by https only from now on. */
export function createSecurityHeaders(overTls: boolean): (request: IncomingMessage, response: ServerResponse) => void {
  const set = helmet({
    contentSecurityPolicy: CONTENT_SECURITY_POLICY,
    strictTransportSecurity: overTls ? { maxAge: 31_536_000, includeSubDomains: true } : false,
    frameguard: { action: 'deny' },
    // other origins that are allowed read answers through CORS, which decides
    crossOriginResourcePolicy: { policy: 'same-origin' },
  })
  return (request, response) => set(request, response, () => undefined)
}

const EXPOSED = 'x-request-id, x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset, retry-after'

/** For an origin that is allowed. */
export function setCorsHeaders(response: ServerResponse, origin: string): void {
  response.setHeader('access-control-allow-origin', origin)
  response.setHeader('access-control-allow-credentials', 'true')
  response.setHeader('access-control-expose-headers', EXPOSED)
}

/** What a page of an allowed origin may send. */
export function setPreflightHeaders(response: ServerResponse): void {
  response.setHeader('access-control-allow-methods', 'GET, POST')
  response.setHeader('access-control-allow-headers', ['content-type', 'x-request-id', ...PREFLIGHTED].join(', '))
  response.setHeader('access-control-max-age', '600')
}
