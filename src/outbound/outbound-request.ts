/** What may be asked of the outside: the check of a request before anything is sent, and what is left of it after a redirect. */
import type { AddressRule } from './address-rule.ts'
import { bare } from './address-rule.ts'
import { OutboundFailure } from './outbound-problem.ts'

export interface OutboundRequest {
  readonly method: string
  /** absolute, http or https, without user and password */
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
  /** for everything: waiting, connecting, redirects, the last byte of the body */
  readonly timeoutMs: number
  /** of the answer's body, unpacked */
  readonly maxBytes: number
  /** 5 by default; 0 hands redirects back as they are */
  readonly maxRedirects?: number
  readonly signal?: AbortSignal
}

/** One of the requests that an outbound request leads to. */
export interface Hop {
  readonly method: string
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Uint8Array | undefined
}

const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])
const MAX_URL = 8_000
const MAX_HEADER_BYTES = 16_384
/** The connection's own, which this client writes: they could begin a second request inside of the first. */
const RESERVED =
  /^(?:host|connection|content-length|transfer-encoding|keep-alive|upgrade|te|trailer|expect|accept-encoding|proxy-.*)$/
const TOKEN = /^[!#$%&'*+.^_`|~0-9a-z-]+$/
/** Visible ASCII, blanks and tabs inside. https://www.rfc-editor.org/rfc/rfc9110#section-5.5 */
const VALUE = /^[\t\x20-\x7e]*$/
/** What another origin may know: everything else may be a credential. */
const HARMLESS: ReadonlySet<string> = new Set(['accept', 'accept-language', 'content-type', 'user-agent'])

/** Throws an `OutboundFailure`. */
export function firstHop({ method, url, headers = {}, body }: OutboundRequest, rule: AddressRule, maxRequestBytes: number): Hop {
  if (!METHODS.has(method)) throw refused(`The method must be one of ${[...METHODS].join(', ')}.`)
  const bytes = body === undefined ? 0 : Buffer.byteLength(body)
  if (bytes > maxRequestBytes) throw refused(`The body is ${bytes} bytes; the limit is ${maxRequestBytes}.`)
  if (bytes > 0 && (method === 'GET' || method === 'HEAD')) throw refused(`A ${method} has no body.`)
  return { method, url: checkUrl(url, undefined, rule), headers: checkHeaders(headers), body }
}

/**
 * The next request after a redirect: `location` is judged like the first URL. Across origins only harmless headers go on, and no
 * body; from https never to http. https://fetch.spec.whatwg.org/#http-redirect-fetch
 */
export function nextHop(hop: Hop, status: number, location: string, rule: AddressRule): Hop {
  const url = checkUrl(location, hop.url, rule)
  if (hop.url.protocol === 'https:' && url.protocol === 'http:')
    throw new OutboundFailure('REDIRECT_REFUSED', `${hop.url.origin} redirects from https to http.`)
  const toGet = status === 303 ? hop.method !== 'HEAD' : (status === 301 || status === 302) && hop.method === 'POST'
  const same = url.origin === hop.url.origin
  const body = toGet ? undefined : hop.body
  if (!same && body !== undefined)
    throw new OutboundFailure('REDIRECT_REFUSED', `${hop.url.origin} asks to send the body to another origin.`)
  const kept = Object.entries(hop.headers).filter(
    ([name]) => (same || HARMLESS.has(name)) && !(toGet && name.startsWith('content-')),
  )
  return { method: toGet ? 'GET' : hop.method, url, headers: Object.fromEntries(kept), body }
}

function checkUrl(text: string, base: URL | undefined, rule: AddressRule): URL {
  const url = text.length <= MAX_URL ? URL.parse(text, base?.href) : null
  if (!url) throw refused(`The URL is none, or longer than ${MAX_URL} characters.`)
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw refused('The URL must begin with http:// or https://.')
  if (url.username !== '' || url.password !== '') throw refused('The URL must hold no user and no password.')
  const port = Number(url.port || (url.protocol === 'https:' ? 443 : 80))
  if (!rule.mayCall({ hostname: bare(url.hostname), port })) throw refused(`${url.origin} may not be called.`)
  return url
}

/** Names in lower case. */
function checkHeaders(headers: Readonly<Record<string, string>>): Record<string, string> {
  const checked: Record<string, string> = {}
  let bytes = 0
  for (const [given, value] of Object.entries(headers)) {
    const name = given.toLowerCase()
    if (!TOKEN.test(name)) throw refused('The name of a header holds characters that it may not hold.')
    if (RESERVED.test(name)) throw refused(`The header ${name} belongs to the connection.`)
    if (Object.hasOwn(checked, name)) throw refused(`The header ${name} is given twice.`)
    if (!VALUE.test(value)) throw refused(`The header ${name} holds characters that it may not hold.`)
    bytes += name.length + value.length + 4
    if (bytes > MAX_HEADER_BYTES) throw refused(`The headers are over ${MAX_HEADER_BYTES} bytes.`)
    checked[name] = value
  }
  return checked
}

const refused = (message: string): OutboundFailure => new OutboundFailure('REFUSED', message)
