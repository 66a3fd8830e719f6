/** One call of an `http` step: the request that its input means, with secrets in their places, and the outcome that an answer means. */
import type { StepErrorCode } from '../../errors.ts'
import { checkedOutput } from '../handlers/handler-outcome.ts'
import type { HttpSpec } from '../../language/steps/http.ts'
import type { Json, JsonObject } from '../../language/values.ts'
import type { OutboundResponse } from '../../outbound/guarded-client.ts'
import type { OutboundProblem, OutboundProblemCode } from '../../outbound/outbound-problem.ts'
import type { OutboundRequest } from '../../outbound/outbound-request.ts'
import { inUrl } from '../../masking/secret-forms.ts'
import type { ActCall, ActFailure, ActOutcome } from './act-runner.ts'
import type { SecretValues } from './attempt-mask.ts'

type Sent = Pick<OutboundRequest, 'method' | 'url' | 'headers' | 'body'>

interface Given {
  url: string
  query?: JsonObject
  headers?: Record<string, string>
  body?: Json
}

/** The same key for every attempt: a service that knows it does the work once. */
export function requestOf({ spec, input, secrets, executionId, path }: ActCall<HttpSpec>): Sent {
  const { url, query = {}, headers = {}, body } = filled(spec, input, secrets) as unknown as Given
  const isText = typeof body === 'string'
  const own: Record<string, string> = {
    accept: 'application/json, */*;q=0.5',
    'idempotency-key': `${executionId}/${path}`,
    ...(body !== undefined && { 'content-type': isText ? 'text/plain; charset=utf-8' : 'application/json' }),
  }
  for (const name of Object.keys(headers)) delete own[name.toLowerCase()]
  return {
    method: spec.method,
    url: withQuery(url, query),
    headers: { ...own, ...headers },
    ...(body !== undefined && { body: isText ? body : JSON.stringify(body) }),
  }
}

function filled(spec: HttpSpec, input: Json, secrets: SecretValues = {}): JsonObject {
  const request = (spec.secretTexts.length > 0 ? structuredClone(input) : input) as JsonObject
  for (const { at, parts } of spec.secretTexts) {
    let place: JsonObject = request
    for (const key of at.slice(0, -1)) place = place[key] as JsonObject
    const isUrl = at[0] === 'url'
    place[at.at(-1)!] = parts
      .map((part, i) => {
        if (typeof part === 'string') return part
        const value = secrets[part.secret]!
        return isUrl && !begins(parts, i) ? inUrl(value) : value
      })
      .join('')
  }
  return request
}

type Parts = HttpSpec['secretTexts'][number]['parts']

/** A secret at the very beginning of a URL is one itself, or its base. */
const begins = (parts: Parts, i: number): boolean => parts.slice(0, i).every((part) => part === '')

/** With what a service is told of a URL that is a secret: its path and query, without scheme and host. */
export function toldSecrets({ secretTexts }: HttpSpec, { url }: Sent, secrets: SecretValues = {}): SecretValues {
  const isSecret = secretTexts.some(({ at, parts }) => at[0] === 'url' && parts[0] === '')
  const { pathname = '', search = '' } = (isSecret && URL.parse(url)) || {}
  const told = [pathname.slice(1), pathname.slice(1) + search].filter((text) => text.length >= LEAST_SECRET)
  return { ...secrets, ...Object.fromEntries(told.map((text, i) => [`url ${i}`, text])) }
}
/** Shorter texts stand everywhere. */
const LEAST_SECRET = 8

function withQuery(url: string, query: JsonObject): string {
  const added = new URLSearchParams()
  for (const [key, value] of Object.entries(query)) {
    for (const item of Array.isArray(value) ? value : [value]) {
      if (item === null) continue
      added.append(key, typeof item === 'object' ? JSON.stringify(item) : String(item))
    }
  }
  const [base = ''] = url.split('#')
  return added.size === 0 ? base : `${base}${base.includes('?') ? '&' : '?'}${added}`
}

/** Never sent, or never to be understood: another attempt is useless. */
const HOPELESS = { retryable: false } as const
const PROBLEMS: { readonly [Code in OutboundProblemCode]: { code: StepErrorCode; retryable?: false } } = {
  REFUSED: { code: 'HTTP_REFUSED', ...HOPELESS },
  REDIRECT_REFUSED: { code: 'HTTP_REFUSED', ...HOPELESS },
  NETWORK: { code: 'HTTP_NETWORK' },
  TIMEOUT: { code: 'TIMEOUT' },
  UNTRUSTED: { code: 'HTTP_ANSWER', ...HOPELESS },
  UNREADABLE: { code: 'HTTP_ANSWER', ...HOPELESS },
  TOO_LARGE: { code: 'HTTP_ANSWER', ...HOPELESS },
  CIRCUIT_OPEN: { code: 'CIRCUIT_OPEN' },
  BUSY: { code: 'HTTP_BUSY' },
  CANCELED: { code: 'CANCELED' },
}

export function outcomeOf(spec: HttpSpec, result: OutboundResponse | OutboundProblem, maxOutputBytes: number): ActOutcome {
  if (!result.ok) {
    const failure: ActFailure = { ok: false, message: result.message, ...PROBLEMS[result.code] }
    // it may have reached the service: whoever wants it at most once does not want it again
    const isUnknown = spec.atMostOnce && (result.code === 'NETWORK' || result.code === 'TIMEOUT')
    return isUnknown ? { ...failure, ...HOPELESS } : failure
  }
  const { status, headers } = result
  if (!spec.expect.some((one) => one === status || one === `${Math.floor(status / 100)}xx`)) return unexpected(status, headers)
  const body = bodyOf(result)
  if (body === undefined)
    return { ok: false, code: 'HTTP_ANSWER', message: 'The answer says that it is JSON, and is not.', ...HOPELESS }
  return checkedOutput({ status, headers: keptOf(headers), body }, maxOutputBytes)
}

function unexpected(status: number, headers: OutboundResponse['headers']): ActFailure {
  const code = status >= 500 ? 'HTTP_5XX' : status >= 400 ? 'HTTP_4XX' : 'HTTP_STATUS'
  const retryAfterMs = retryAfter(headers['retry-after'])
  return {
    ...{ ok: false, code, kind: `HTTP_${status}`, message: `The service answered ${status}.` },
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  }
}

/** Seconds, or a date. https://www.rfc-editor.org/rfc/rfc9110#field.retry-after */
function retryAfter(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const ms = /^\d{1,9}$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now()
  return Number.isNaN(ms) ? undefined : Math.max(0, ms)
}

const JSON_TYPE = /^application\/(?:[\w.+-]+\+)?json(?:\s*;|$)/i

/** JSON as what it says; text as text; what is neither in base64. undefined: it is not the JSON that it says it is. */
function bodyOf({ headers, body }: OutboundResponse): unknown {
  if (body.length === 0) return null
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(body)
    return JSON_TYPE.test(headers['content-type'] ?? '') ? (JSON.parse(text) as unknown) : text
  } catch (error) {
    return error instanceof SyntaxError ? undefined : body.toString('base64')
  }
}

/** What steps may need to go on; cookies and whatever else a service says stay out of the history. */
const KEPT =
  /^(?:content-type|content-language|etag|last-modified|cache-control|date|link|location|retry-after|x-request-id|(?:x-)?ratelimit-.*)$/

const keptOf = (headers: OutboundResponse['headers']): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => KEPT.test(name)))
