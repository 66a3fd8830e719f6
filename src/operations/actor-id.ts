/** Who did something, as histories tell it. */
import { encodeId } from '../ids.ts'
import type { Principal } from '../identity/principal.ts'

/** `user_...`, or `key_...` of an agent. */
export const actorId = ({ kind, actsAs }: Pick<Principal, 'kind' | 'actsAs'>): string =>
  encodeId(kind === 'AGENT' ? 'apiKey' : 'user', actsAs)
