/** The key that servers sign with: given, or the one that the API names, which changes with `SLUICE_SECRETS_KEY`. */
import { ask } from './ask.ts'
import type { Api } from './ask.ts'
import { isSignedByServer } from './signing.ts'

const KEY = 'query AgentKey { agentMessageKey }'
/** It is not asked for each forged message. */
const ASK_EVERY_MS = 10_000
const ANSWERED_WITHIN_MS = 10_000

export type Fields = Readonly<Record<string, string>>

export interface ServerKey {
  /** there is no other */
  readonly isGiven: boolean
  /** undefined: not asked for yet */
  readonly current: string | undefined
  /** The text that this key signed, if it did. */
  textOf(fields: Fields): string | undefined
  /** The same, where the API may name another key meanwhile. Rejects when there is none yet, or when it was asked and gave none. */
  verified(fields: Fields): Promise<string | undefined>
  /** Asks the API, unless it was asked a moment ago; whether it named one, the same or another. */
  renew(): Promise<boolean>
}

export function createServerKey(api: Api, given: string | undefined): ServerKey {
  let current = given
  let askedAt = Number.NEGATIVE_INFINITY
  let asking: Promise<void> | undefined

  async function renew(): Promise<boolean> {
    const wasAsked = current !== undefined && performance.now() - askedAt < ASK_EVERY_MS
    if (given !== undefined || (wasAsked && !asking)) return false
    asking ??= askApi().finally(() => {
      // also when it gave none: an API that hangs holds up no messages that are signed well
      askedAt = performance.now()
      asking = undefined
    })
    await asking
    return true
  }

  async function askApi(): Promise<void> {
    const signal = AbortSignal.timeout(ANSWERED_WITHIN_MS)
    current = (await ask<{ agentMessageKey: string }>(api, KEY, {}, signal)).agentMessageKey
  }

  const textOf = ({ message = '', signature = '' }: Fields): string | undefined =>
    current !== undefined && isSignedByServer(message, signature, current) ? message : undefined

  return {
    isGiven: given !== undefined,
    get current() {
      return current
    },
    textOf,
    async verified(fields) {
      return textOf(fields) ?? ((await renew()) ? textOf(fields) : undefined)
    },
    renew,
  }
}
