/** What a request says about who sends it, read alike at both doors. */
import type { IncomingMessage } from 'node:http'
import type { Origin } from '../audit/audit-entry.ts'
import { Fault } from '../errors.ts'
import type { Authenticate } from '../identity/authenticate.ts'
import type { Principal } from '../identity/principal.ts'
import { newUuid } from '../ids.ts'
import type { ClientAddress } from './client-address.ts'

/**
 * Undefined when there is no `authorization`. Throws UNAUTHENTICATED with `reason` EXPIRED (come back with a new token) or INVALID,
 * and UNAVAILABLE when nobody can tell now.
 */
export async function principalOf(authorization: string | undefined, authenticate: Authenticate): Promise<Principal | undefined> {
  if (authorization === undefined) return undefined
  const token = /^Bearer +([\w.~+/=-]+)$/i.exec(authorization.trim())?.[1]
  if (!token)
    throw new Fault('UNAUTHENTICATED', 'Send `authorization: Bearer <access token>`.', { extensions: { reason: 'INVALID' } })
  const checked = await authenticate(token).catch((cause: unknown) => {
    throw new Fault('UNAVAILABLE', undefined, { cause })
  })
  if (checked.ok) return checked.principal
  if (checked.reason === 'EXPIRED') {
    throw new Fault('UNAUTHENTICATED', 'The access token has expired: get the next one by `refreshSession`.', {
      extensions: { reason: 'EXPIRED' },
    })
  }
  throw new Fault('UNAUTHENTICATED', 'The access token is not valid.', { extensions: { reason: 'INVALID' } })
}

/** Where a request comes from, for limits and for the audit log. */
export type OriginOf = (request: IncomingMessage) => Origin

export const createOriginOf =
  (clientAddress: ClientAddress): OriginOf =>
  (request) => ({ ip: clientAddress(request), userAgent: request.headers['user-agent']?.slice(0, 300) })

/** The caller's own id when it is one that can stand in a log line; else a new one. */
export function requestIdOf(request: IncomingMessage): string {
  const given = request.headers['x-request-id']
  return typeof given === 'string' && /^[\w.-]{8,64}$/.test(given) ? given : newUuid()
}
