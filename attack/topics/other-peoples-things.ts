/**
 * Every field of the schema that takes an id is asked for the victim's things, by others (IDOR): the answer has to be that for
 * things that do not exist, in each of its parts. The list comes from the schema, so a new field is tried as soon as it is there.
 */
import {
  isEnumType,
  isInputObjectType,
  isListType,
  isNonNullType,
  isObjectType,
  isUnionType,
  isInterfaceType,
  isLeafType,
  getNamedType,
} from 'graphql'
import type { GraphQLArgument, GraphQLField, GraphQLInputField, GraphQLInputType } from 'graphql'
import { schema } from '../../src/api/schema.ts'
import { encodeId, ID_PREFIX, newUuid } from '../../src/ids.ts'
import type { IdKind } from '../../src/ids.ts'
import type { Topic } from '../trial.ts'
import type { World } from '../world.ts'

/** `[]` = an item of a list */
type Path = readonly string[]
interface Door {
  readonly operation: 'query' | 'mutation' | 'subscription'
  readonly field: GraphQLField<unknown, unknown>
  /** where an id goes in its arguments */
  readonly path: Path
}

/** Kinds that belong to nobody in particular, or that no field takes. */
const NOBODYS = new Set(['worker', 'auditEvent', 'securityEvent', 'flowGrant'])
/** What is no id of a thing, though it looks so: names that others may choose. */
const NOT_IDS = new Set(['clientMutationId', 'documentId'])

function doors(): Door[] {
  const roots = { query: schema.getQueryType(), mutation: schema.getMutationType(), subscription: schema.getSubscriptionType() }
  return Object.entries(roots).flatMap(([operation, type]) =>
    Object.values(type?.getFields() ?? {}).flatMap((field) =>
      idPaths(field.args).map((path): Door => ({ operation: operation as Door['operation'], field, path })),
    ),
  )
}

function idPaths(inputs: readonly (GraphQLArgument | GraphQLInputField)[], depth = 0): Path[] {
  if (depth > 3) return []
  return inputs.flatMap(({ name, type }) => {
    const named = getNamedType(type)
    const here = isListType(isNonNullType(type) ? type.ofType : type) ? [name, '[]'] : [name]
    if (named.name === 'ID' && !NOT_IDS.has(name)) return [here]
    return isInputObjectType(named) ? idPaths(Object.values(named.getFields()), depth + 1).map((path) => [...here, ...path]) : []
  })
}

/** A value that fits the type, with `id` where `path` leads. */
function valueOf(type: GraphQLInputType, path: Path | undefined, id: string, optional = false): unknown {
  if (isNonNullType(type)) return valueOf(type.ofType, path, id)
  if (optional && !path) return undefined
  if (isListType(type)) return path || !optional ? [valueOf(type.ofType, path?.slice(1), id)] : undefined
  if (path?.length === 0) return id
  if (isEnumType(type)) return type.getValues()[0]!.name
  if (isInputObjectType(type)) {
    const fields = Object.values(type.getFields())
    const chosen = type.isOneOf ? (path ? fields.filter(({ name }) => name === path[0]) : fields.slice(0, 1)) : fields
    return argumentsOf(chosen, path, id, type.isOneOf)
  }
  return SAMPLES[type.name] ?? 'x'
}
const SAMPLES: Record<string, unknown> = {
  Int: 1,
  Float: 1,
  Boolean: true,
  JSON: {},
  DateTime: '2030-01-01T00:00:00Z',
  Duration: 'PT1H',
}

function argumentsOf(
  inputs: readonly (GraphQLArgument | GraphQLInputField)[],
  path: Path | undefined,
  id: string,
  all = false,
): object {
  const entries = inputs.map(({ name, type, defaultValue }) => {
    const isOptional = !all && (!isNonNullType(type) || defaultValue !== undefined)
    return [name, valueOf(type, path?.[0] === name ? path.slice(1) : undefined, id, isOptional)]
  })
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined))
}

/** `__typename`, and of each possible type all that needs no arguments, two levels deep. */
function selectionOf(field: GraphQLField<unknown, unknown>): string {
  const select = (type: unknown, depth: number): string => {
    const named = getNamedType(type as GraphQLInputType) as unknown
    if (isLeafType(named)) return ''
    const objects =
      isUnionType(named) || isInterfaceType(named) ? schema.getPossibleTypes(named) : isObjectType(named) ? [named] : []
    const parts = objects.map((object) => {
      const fields = Object.values(object.getFields())
        .filter(
          ({ args, type: of }) =>
            args.every(({ type: needed }) => !isNonNullType(needed)) && (isLeafType(getNamedType(of)) || depth > 0),
        )
        .map((one) => {
          const inner = select(one.type, depth - 1)
          return `${object.name}_${one.name}: ${one.name}${inner}`
        })
      return `... on ${object.name} { ${fields.slice(0, 25).join(' ')} __typename }`
    })
    return ` { __typename ${parts.join(' ')} }`
  }
  const type = getNamedType(field.type)
  // of `Node` everything would be too much: the ids tell enough
  return isInterfaceType(type) ? ' { __typename id }' : select(field.type, isUnionType(type) ? 0 : 1)
}

export const otherPeoplesThings: Topic = {
  name: 'other-peoples-things',
  about: "every field that takes an id, with each of the victim's, as another user, a viewer and nobody (IDOR)",
  async run({ world, quick, attempt }) {
    const before = await standing(world)
    const absent = Object.fromEntries(Object.keys(world.things).map((kind) => [kind, encodeId(kind as IdKind, newUuid())]))
    for (const { operation, field, path } of doors()) {
      if (operation === 'subscription') continue
      for (const [kind, id] of Object.entries(world.things)) {
        // it names what is wrong with the id's kind before it looks anything up, and anybody may know of a user
        if (kind === 'user' && ['query'].includes(operation)) continue
        await attempt(`${field.name}(${path.join('.')}) with ${kind}`, async () => {
          for (const who of quick ? [world.attacker] : [world.attacker, world.viewer, undefined]) {
            const theirs = await ask(world, { operation, field, path }, id, who?.token)
            const none = await ask(world, { operation, field, path }, absent[kind]!, who?.token)
            if (theirs !== none) return `${who?.handle ?? 'nobody'} sees ${theirs.slice(0, 300)} instead of ${none.slice(0, 300)}`
          }
          return undefined
        })
      }
    }
    for (const { field, path } of doors().filter(({ operation }) => operation === 'subscription')) {
      await attempt(`${field.name}(${path.join('.')}) as a feed`, async () => {
        for (const id of Object.values(world.things)) {
          const socket = await world.client.open()
          socket?.send({ type: 'connection_init', payload: { authorization: `Bearer ${world.attacker.token}` } })
          await socket?.next(({ type }) => type === 'connection_ack')
          const query = `subscription { feed: ${field.name}(${path[0]}: ${JSON.stringify(id)}) { __typename } }`
          socket?.send({ id: 'one', type: 'subscribe', payload: { query } })
          const told = await socket?.next(({ id: of }) => of === 'one')
          socket?.close()
          if (told?.['type'] !== 'error') return `it begins: ${JSON.stringify(told)}`
        }
        return undefined
      })
    }
    await attempt('every kind of thing has one of the victim', async () => {
      const missing = Object.keys(ID_PREFIX).filter((kind) => !(kind in world.things) && !NOBODYS.has(kind))
      return missing.length > 0 ? `there is none of ${missing.join(', ')}: make one in world.ts` : undefined
    })
    await attempt("the victim's flow by its name", async () => {
      const name = JSON.parse(before).flow.name as string
      for (const given of [name, `victim/${name}`, name.toUpperCase(), `${name} `, `victim/%`]) {
        const read = await world.client.send('query ($name: String) { flow(name: $name) { id } }', {
          token: world.attacker.token,
          variables: { name: given },
        })
        const started = await world.client.mutate(world.attacker.token, 'startExecution', { flow: given, input: {} })
        if (read.data?.flow || started.__typename === 'StartExecutionSuccess') return `${given} is found`
      }
      return undefined
    })
    await attempt('what it all left behind', async () =>
      (await standing(world)) === before ? undefined : "the victim's things have changed",
    )
  },
}

async function ask({ client }: World, { operation, field, path }: Door, id: string, token: string | undefined): Promise<string> {
  const declared = field.args.map(({ name, type }) => `$${name}: ${String(type)}`).join(', ')
  const passed = field.args.map(({ name }) => `${name}: $${name}`).join(', ')
  const document = `${operation} (${declared}) { answer: ${field.name}(${passed})${selectionOf(field)} }`
  const { status, text } = await client.send(document, { token, variables: argumentsOf(field.args, path, id) })
  return `${status} ${text
    .replaceAll(id, 'ID')
    .replaceAll(/"requestId":"[^"]*"/g, '"requestId"')
    .replaceAll(/"retryAfterMs":[\d.]+/g, '"retryAfterMs"')}`
}

/** The victim's things as the victim sees them. */
async function standing({ client, victim, things }: World): Promise<string> {
  const { data } = await client.send(
    `query ($flow: ID, $execution: ID!) { viewer { id email role } flow(id: $flow) { id name description version visibility latestVersion { id } owner { id } }
       execution(id: $execution) { id status version lastSeq reason initiator { id } }
       agentRequests(first: 5, filter: { execution: $execution }) { edges { node { id status version } } }
       apiKeys(first: 5) { edges { node { id revokedAt } } } }`,
    { token: victim.token, variables: { flow: things.flow, execution: things.execution } },
  )
  return JSON.stringify(data)
}
