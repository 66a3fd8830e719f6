/** One question to the API. */
import { AgentRefused } from './channel.ts'

export interface Api {
  /** of `/graphql` */
  readonly url: string
  readonly apiKey: string
}

/** The server cannot answer now: come back after so many ms, or when you like. */
export class TryLater extends Error {
  override name = 'TryLater'
  readonly afterMs: number
  constructor(message: string, afterMs = 0) {
    super(message)
    this.afterMs = afterMs
  }
}

/** Faults that pass. */
const PASSING = new Set(['INTERNAL', 'UNAVAILABLE', 'RATE_LIMITED', 'REQUEST_TIMEOUT'])

interface Reply<Data> {
  data?: Data
  errors?: readonly { message: string; extensions?: { code?: string; retryAfterMs?: number } }[]
}

/** A connection may be cut off without anybody being told. */
const ANSWERED_WITHIN_MS = 30_000

/** Rejects with `TryLater`, or with `AgentRefused` when that is of no use. `look`: at the headers, whatever was answered. */
export async function ask<Data>(
  { url, apiKey }: Api,
  query: string,
  variables: object,
  signal: AbortSignal,
  look: (headers: Headers) => void = () => undefined,
): Promise<Data> {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${apiKey}` }
  const body = JSON.stringify({ query, variables })
  const end = AbortSignal.any([signal, AbortSignal.timeout(ANSWERED_WITHIN_MS)])
  const response = await fetch(url, { method: 'POST', headers, body, signal: end }).catch((error: unknown) => {
    signal.throwIfAborted()
    throw new TryLater(error instanceof Error ? error.message : 'no connection')
  })
  look(response.headers)
  // something else than the server (a proxy, perhaps) may have answered
  const { data, errors } = (await response.json().catch(() => ({}))) as Reply<Data>
  signal.throwIfAborted()
  const error = errors?.[0]
  if (!error && data) return data
  if (!error) throw new TryLater(`HTTP ${response.status}`)
  const { code = 'INTERNAL', retryAfterMs } = error.extensions ?? {}
  throw PASSING.has(code) ? new TryLater(error.message, retryAfterMs) : new AgentRefused(code, error.message)
}
