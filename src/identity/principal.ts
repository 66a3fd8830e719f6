/** Who asks: the verified result of a token, as everything above identity sees it. */

import type { AuthSubject } from './auth-changes.ts'

export const ROLES = ['ADMIN', 'USER', 'VIEWER'] as const
/** ADMIN may do everything, USER owns flows and executions, VIEWER only reads (B4). */
export type Role = (typeof ROLES)[number]

export interface Principal {
  kind: 'USER'
  /** the user's UUID */
  id: string
  role: Role
  /** the user's handle, as in `owner/flow`; never an e-mail */
  handle: string
  sessionId: string
  /** ms since 1970: the access token's end */
  expiresAt: number
}

/** What the principal stands on: when one of these changes, it must be looked at again. */
export const subjectsOf = ({ id, sessionId }: Principal): AuthSubject[] => [`user:${id}`, `session:${sessionId}`]
