/**
 * The only HTTP client that leaves. It goes to public addresses and to what the operator allows, judges every redirect anew, keeps
 * no cookies, knows no proxy, and bounds time and size. Problems come back as values; see `OutboundProblem`.
 */
import type { Agent } from 'undici'
import { createAddressRule } from './address-rule.ts'
import type { AddressRuleSettings } from './address-rule.ts'
import { createCircuits, OriginFault } from './circuits.ts'
import type { CircuitName, CircuitSettings } from './circuits.ts'
import { failureOf } from './failure-of.ts'
import { OutboundFailure, outboundProblem } from './outbound-problem.ts'
import type { OutboundProblem } from './outbound-problem.ts'
import { firstHop, nextHop } from './outbound-request.ts'
import type { Hop, OutboundRequest } from './outbound-request.ts'
import { ACCEPTED_ENCODINGS, readBody } from './read-body.ts'
import { resolveByHost } from './resolve-host.ts'
import type { Resolve } from './resolve-host.ts'

export interface GuardedClientOptions extends AddressRuleSettings {
  readonly circuits?: CircuitSettings
  /** of a request's body, 1,000,000 */
  readonly maxRequestBytes?: number
  /** as the operating system does it by default */
  readonly resolve?: Resolve
  /** PEM; trusted instead of the usual authorities */
  readonly ca?: string
}

export interface OutboundResponse {
  readonly ok: true
  readonly status: number
  /** names in lower case; what came more than once is joined by ", " */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

export interface GuardedClient {
  /** Any status is an answer. Rejects only when this client itself is broken. */
  request(request: OutboundRequest): Promise<OutboundResponse | OutboundProblem>
  /** of each origin that was called lately */
  circuits(): ReadonlyMap<string, CircuitName>
  /** Ends what is under way. */
  close(): Promise<void>
}

const MAX_REDIRECTS = 5
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])
/** Whoever gives less time says nothing about the service by running out of it. */
const FAIR_MS = 1_000

export function createGuardedClient(options: GuardedClientOptions): GuardedClient {
  const { resolve = resolveByHost, maxRequestBytes = 1_000_000, ca } = options
  const rule = createAddressRule(options)
  const circuits = createCircuits(options.circuits)
  let agent: Promise<Agent> | undefined
  const openAgent = async (): Promise<Agent> =>
    (await import('./guarded-agent.ts')).createGuardedAgent({ rule, resolve, ...(ca !== undefined && { ca }) })

  async function request(asked: OutboundRequest): Promise<OutboundResponse | OutboundProblem> {
    const time = new AbortController()
    const timer = setTimeout(() => time.abort(), asked.timeoutMs)
    const signal = asked.signal ? AbortSignal.any([asked.signal, time.signal]) : time.signal
    try {
      return await Promise.race([follow(asked, signal, time.signal), aborted(signal)])
    } catch (error) {
      if (time.signal.aborted) return outboundProblem('TIMEOUT', `The answer was not complete within ${asked.timeoutMs} ms.`)
      if (asked.signal?.aborted) return outboundProblem('CANCELED', 'The request was canceled.')
      if (error instanceof OutboundFailure) return error.problem
      throw error
    } finally {
      clearTimeout(timer)
    }
  }

  async function follow(asked: OutboundRequest, signal: AbortSignal, time: AbortSignal): Promise<OutboundResponse> {
    let hop = firstHop(asked, rule, maxRequestBytes)
    const { maxRedirects = MAX_REDIRECTS } = asked
    for (let redirects = 0; ; redirects++) {
      const { origin } = hop.url
      const sent = hop
      const answer = await circuits.through(origin, signal, () => send(sent, asked, signal, time))
      const location = answer.headers['location']
      if (!REDIRECTS.has(answer.status) || location === undefined || maxRedirects === 0) return answer
      if (redirects >= maxRedirects)
        throw new OutboundFailure('REDIRECT_REFUSED', `The answer redirects more than ${maxRedirects} times.`)
      hop = nextHop(hop, answer.status, location, rule)
    }
  }

  /** One request and its answer; what is the origin's fault counts against it. */
  async function send(hop: Hop, asked: OutboundRequest, signal: AbortSignal, time: AbortSignal): Promise<OutboundResponse> {
    const { origin, pathname, search } = hop.url
    const { maxBytes, timeoutMs } = asked
    const connections = await (agent ??= openAgent())
    try {
      signal.throwIfAborted()
      const response = await connections.request({
        ...{ origin, path: pathname + search, method: hop.method, body: hop.body ?? null, signal },
        headers: { 'user-agent': 'sluice', ...hop.headers, 'accept-encoding': ACCEPTED_ENCODINGS },
        // the one limit for all of it is the signal
        ...{ headersTimeout: 0, bodyTimeout: 0 },
      })
      const headers = joined(response.headers)
      const encoding = (headers['content-encoding'] ?? '').trim().toLowerCase()
      const declared = Number(headers['content-length'] ?? 0)
      const hasBody = hop.method !== 'HEAD' && response.statusCode !== 204 && response.statusCode !== 304
      const limits = { encoding: hasBody ? encoding : '', declared: hasBody ? declared : 0, maxBytes }
      const body = await readBody(response.body, limits)
      return { ok: true, status: response.statusCode, headers, body }
    } catch (error) {
      if (time.aborted && timeoutMs >= FAIR_MS) throw new OriginFault(new OutboundFailure('TIMEOUT', 'too late'))
      throw signal.aborted ? error : failureOf(error, origin)
    }
  }

  return { request, circuits: circuits.states, close: async () => (await agent)?.destroy() }
}

const aborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason as Error)
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
  })

const joined = (headers: Readonly<Record<string, string | string[] | undefined>>): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), [value ?? []].flat().join(', ')]))
