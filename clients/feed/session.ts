/** Signing in, and staying signed in: access tokens for feeds and calls, renewed when they expire. */
import { SessionOver } from './transport.ts'
import type { GetToken } from './transport.ts'

export interface SessionOptions {
  /** of `/graphql` */
  readonly url: string
  readonly fetch?: typeof globalThis.fetch
}

export interface Session {
  /** for `overWebSocket` and `overSse`: the access token, renewed when it has expired or is about to */
  readonly token: GetToken
  /** A query or mutation; rejects with the first of its errors. */
  run<Data>(query: string, variables?: Readonly<Record<string, unknown>>): Promise<Data>
}

/** As `signIn` and `refreshSession` answer. */
export interface Tokens {
  readonly accessToken: string
  readonly accessTokenExpiresAt: string
  readonly refreshToken: string
}

/** It is renewed so long before its end. */
const LEAD_MS = 30_000

const SELECTION = `{
  ... on SignInSuccess { accessToken accessTokenExpiresAt refreshToken }
  ... on Problem { code message }
}`
const SIGN_IN = `mutation ($input: SignInInput!) { answer: signIn(input: $input) ${SELECTION} }`
const REFRESH = `mutation ($input: RefreshSessionInput!) { answer: refreshSession(input: $input) ${SELECTION} }`

type Answer = { answer: Tokens | { code: string; message: string } }

/** Throws what the server says against it. */
export async function signIn(options: SessionOptions, input: { email: string; password: string }): Promise<Session> {
  const { answer } = await send<Answer>(options, SIGN_IN, { input })
  if ('code' in answer) throw new Error(answer.message)
  return openSession(options, answer)
}

/** A session whose tokens are there already, kept from an earlier visit. `onRenewed` gets each new pair, to be kept. */
export function openSession(options: SessionOptions, first: Tokens, onRenewed?: (tokens: Tokens) => void): Session {
  let tokens = first
  let renewing: Promise<void> | undefined
  /** with it a lost answer can be asked for again */
  let key: string | undefined

  async function renew(): Promise<void> {
    key ??= randomKey()
    const { refreshToken } = tokens
    const { answer } = await send<Answer>(options, REFRESH, { input: { refreshToken, idempotencyKey: key } })
    if ('code' in answer) {
      if (answer.code === 'UNAUTHENTICATED') throw new SessionOver(answer.message)
      throw new Error(answer.message)
    }
    tokens = answer
    key = undefined
    onRenewed?.(answer)
  }

  /** A refresh token is good once: whoever needs a new one meanwhile waits for the same. */
  async function token(expired: boolean): Promise<string> {
    if (expired || Date.parse(tokens.accessTokenExpiresAt) - Date.now() < LEAD_MS) {
      renewing ??= renew().finally(() => (renewing = undefined))
      await renewing
    }
    return tokens.accessToken
  }

  return { token, run: async (query, variables) => send(options, query, variables, await token(false)) }
}

async function send<Data>(
  { url, fetch = globalThis.fetch }: SessionOptions,
  query: string,
  variables?: Readonly<Record<string, unknown>>,
  token?: string,
): Promise<Data> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(token !== undefined && { authorization: `Bearer ${token}` }) },
    body: JSON.stringify({ query, ...(variables && { variables }) }),
  })
  const { data, errors } = (await response.json()) as { data?: Data; errors?: readonly { message: string }[] }
  if (errors?.[0]) throw new Error(errors[0].message)
  return data!
}

function randomKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('')
}
