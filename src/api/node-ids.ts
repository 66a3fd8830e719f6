/** The readable ids of `src/ids.ts` as Relay's global ids: the prefix says the type, so nothing is encoded twice. */
import { decodeId, encodeId, ID_PREFIX } from '../ids.ts'
import type { IdKind } from '../ids.ts'

/** How many ids `nodes` takes at once. */
export const MAX_NODES = 100

/** A node's type and its UUID. */
export interface NodeId {
  typename: string
  id: string
}

/** GraphQL types whose objects are nodes, and what their ids name. */
const KIND_OF_TYPE: Record<string, IdKind> = {
  User: 'user',
  Flow: 'flow',
  FlowVersion: 'flowVersion',
  Execution: 'execution',
  AgentRequest: 'agentRequest',
  AuditEvent: 'auditEvent',
  SecurityEvent: 'securityEvent',
  ApiKey: 'apiKey',
  ExecutionLink: 'executionLink',
  Secret: 'secret',
  Trigger: 'trigger',
  WebhookDelivery: 'webhookDelivery',
}

/** No type has this name: an id that means nothing loads nothing. */
const NOTHING: NodeId = { typename: '', id: '' }

export function encodeNodeId(typename: string, uuid: string): string {
  const kind = KIND_OF_TYPE[typename]
  if (!kind) throw new Error(`${typename} is a node without a kind of id; name it in KIND_OF_TYPE`)
  return encodeId(kind, uuid)
}

/** Never throws: a malformed id, and one of a kind that is not a node, decodes to a type that does not exist. */
export function decodeNodeId(id: string): NodeId {
  const prefix = id.slice(0, Math.max(0, id.lastIndexOf('_')))
  const found = Object.entries(KIND_OF_TYPE).find(([, kind]) => ID_PREFIX[kind] === prefix)
  const uuid = found && decodeId(found[1], id)
  return found && uuid ? { typename: found[0], id: uuid } : NOTHING
}

/** No row has it. */
const NIL = '00000000-0000-0000-0000-000000000000'

/** The UUID of an id that a client sent; one that means nothing finds nothing, by the same way as one that exists. */
export const uuidOf = (kind: IdKind, id: string): string => decodeId(kind, id) ?? NIL
