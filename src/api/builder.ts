/** The Pothos builder: plugins, scopes, ids. It defines no types; nouns do, one file each. */
import SchemaBuilder from '@pothos/core'
import ComplexityPlugin from '@pothos/plugin-complexity'
import DataloaderPlugin from '@pothos/plugin-dataloader'
import RelayPlugin from '@pothos/plugin-relay'
import ScopeAuthPlugin from '@pothos/plugin-scope-auth'
import SimpleObjectsPlugin from '@pothos/plugin-simple-objects'
import { Fault } from '../errors.ts'
import { isAllowed } from '../identity/principal.ts'
import type { Role, Scope } from '../identity/principal.ts'
import { noteRefusal } from '../operations/refuse.ts'
import type { Context } from './context.ts'
import { decodeNodeId, encodeNodeId, MAX_NODES } from './node-ids.ts'
import type { NodeId } from './node-ids.ts'

export interface SchemaTypes {
  Context: Context
  DefaultFieldNullability: false
  DefaultEdgesNullability: { list: false; items: false }
  DefaultNodeNullability: false
  Scalars: {
    ID: { Input: string; Output: string }
    /** rows hold strings, entities hold dates: both go out as RFC 3339 */
    DateTime: { Input: Date; Output: Date | string }
    /** milliseconds inside, ISO 8601 outside */
    Duration: { Input: number; Output: number }
    JSON: { Input: unknown; Output: unknown }
  }
  AuthScopes: {
    /** anybody, also without a token */
    public: boolean
    /** any principal: a person, a key, an agent, whoever holds a link. Only for what loads no more than the principal may see */
    anybody: boolean
    /** people: what no key may do */
    signedIn: boolean
    /** people of exactly this role */
    role: Role
    /** people, and whatever else is allowed this: keys and agents by their scopes, links by what they are for */
    may: Scope
  }
}

export const builder = new SchemaBuilder<SchemaTypes>({
  plugins: [ScopeAuthPlugin, RelayPlugin, DataloaderPlugin, ComplexityPlugin, SimpleObjectsPlugin],
  defaultFieldNullability: false,
  scopeAuth: {
    authorizeOnSubscribe: true,
    treatErrorsAsUnauthorized: true,
    unauthorizedError: (_parent, call, info) => {
      const errorCode = call.principal ? 'FORBIDDEN' : 'UNAUTHENTICATED'
      void noteRefusal(call, {
        type: 'access.refused',
        errorCode,
        metadata: { field: `${info.parentType.name}.${info.fieldName}` },
      })
      return new Fault(errorCode)
    },
    authScopes: (call) => ({
      public: true,
      anybody: call.standing !== undefined,
      signedIn: call.standing?.kind === 'USER',
      role: (role) => call.standing?.kind === 'USER' && call.standing.role === role,
      may: (scope) => call.standing !== undefined && isAllowed(call.standing, scope),
    }),
  },
  relay: {
    encodeGlobalID: (typename, id) => encodeNodeId(typename, String(id)),
    decodeGlobalID: decodeNodeId,
    cursorType: 'String',
    idFieldOptions: { description: 'Its readable id, the same in logs and on the command line.' },
    // the connection's own cost has the size of the page already
    edgesFieldOptions: {
      nullable: { list: false, items: false },
      complexity: { field: 1, multiplier: 1 },
      description: 'The page, in order.',
    },
    nodeFieldOptions: { nullable: false, description: 'The thing itself.' },
    cursorFieldOptions: { description: 'Its place, for `after` and `before`; opaque.' },
    pageInfoFieldOptions: { description: 'Where this page lies.' },
    hasNextPageFieldOptions: { description: 'Whether something follows.' },
    hasPreviousPageFieldOptions: { description: 'Whether something comes before.' },
    startCursorFieldOptions: { description: 'The first cursor of the page.' },
    endCursorFieldOptions: { description: 'The last cursor of the page.' },
    firstArgOptions: { description: 'How many, from the start: 0 to 100 (20 when neither `first` nor `last` is given).' },
    afterArgOptions: { description: 'Only what comes after this cursor.' },
    lastArgOptions: { description: 'How many, from the end: 0 to 100.' },
    beforeArgOptions: { description: 'Only what comes before this cursor.' },
    nodeTypeOptions: { description: 'Anything that has an id of its own and can be read by it.' },
    pageInfoTypeOptions: { description: 'Where a page of a connection lies. https://relay.dev/graphql/connections.htm' },
    nodeQueryOptions: {
      authScopes: { anybody: true },
      nullable: true,
      description: 'The thing with this id; null when there is none, or none that you may see.',
      args: { id: { description: 'Any id that the API gave out, such as `exec_01h...`.' } },
      resolve: (_root, { id }, _call, info, load) => (isNode(id, info.schema) ? load(id) : null),
    },
    nodesQueryOptions: {
      authScopes: { anybody: true },
      nullable: { list: false, items: true },
      description: `The things with these ids (at most ${MAX_NODES}), in this order; null where there is none that you may see.`,
      complexity: ({ ids }) => ({ field: 1, multiplier: Math.min(ids.length, MAX_NODES) }),
      args: { ids: { description: 'Ids that the API gave out, of any kind.' } },
      resolve: (_root, args, _call, info, load) => {
        if (args.ids.length > MAX_NODES)
          throw new Fault('BAD_REQUEST', `\`ids\` has ${args.ids.length} items; at most ${MAX_NODES} are allowed.`)
        // the plugin reads `args.ids` again and takes null for "nothing"
        args.ids.forEach((id, at) => {
          if (!isNode(id, info.schema)) args.ids[at] = null as never
        })
        return load(args.ids)
      },
    },
  },
  complexity: { defaultComplexity: 1, defaultListMultiplier: 5 },
})

const isNode = (id: NodeId, schema: { getType(name: string): unknown }) => schema.getType(id.typename) !== undefined

builder.queryType({ description: 'Reads. What you may not see looks exactly like what does not exist.' })
builder.mutationType({ description: 'Writes. Each takes one `input` and answers a union of its success and typed problems.' })
builder.subscriptionType({ description: 'Live feeds: what happens, as it happens. Every one can be resumed at a cursor.' })

/** The builder's full type parameters, for the makers of fields (`mutation.ts`, `connection.ts`). */
export type Types = typeof builder.$inferSchemaTypes
/** What a root field must name. */
export type Scopes = Partial<Types['AuthScopes']>
