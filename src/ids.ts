/** Readable ids (`exec_01h...`): TypeIDs outside, UUIDv7 inside. https://github.com/jetify-com/typeid */
import { TypeID } from 'typeid-js'
import { uuidv7obj } from 'uuidv7'

/** What an id can name, and the prefix that says so. */
export const ID_PREFIX = {
  user: 'user',
  session: 'session',
  flow: 'flow',
  flowVersion: 'flowv',
  execution: 'exec',
  agentRequest: 'ask',
  auditEvent: 'audit',
  securityEvent: 'security',
  secret: 'secret',
  worker: 'worker',
  apiKey: 'key',
  executionLink: 'link',
  flowGrant: 'grant',
  trigger: 'trigger',
  webhookDelivery: 'delivery',
} as const
export type IdKind = keyof typeof ID_PREFIX

/** A new UUIDv7, monotonic within this process. */
export const newUuid = (): string => uuidv7obj().toString()

/** `encodeId('execution', '0190...')` -> `exec_01j...` */
export function encodeId(kind: IdKind, uuid: string): string {
  return TypeID.fromUUID(ID_PREFIX[kind], uuid).toString()
}

/** The UUID inside a readable id, or undefined when it is malformed or names another kind. */
export function decodeId(kind: IdKind, id: string): string | undefined {
  if (id.length !== ID_PREFIX[kind].length + 27 || !id.startsWith(`${ID_PREFIX[kind]}_`)) return undefined
  try {
    return TypeID.fromString(id, ID_PREFIX[kind]).toUUID()
  } catch {
    return undefined
  }
}
