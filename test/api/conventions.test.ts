/** What holds for every noun: mutations, connections, versions, and the examples of GraphiQL. */
import { parse, validate, isIntrospectionType, isNonNullType, isObjectType, isSpecifiedScalarType, isUnionType } from 'graphql'
import type { GraphQLObjectType } from 'graphql'
import { describe, expect, test } from 'vitest'
import { schema } from '../../src/api/schema.ts'
import { EXAMPLES } from '../../src/server/graphiql/examples.ts'

const types = Object.values(schema.getTypeMap()).filter((type) => !isIntrospectionType(type) && !isSpecifiedScalarType(type))
describe.each(Object.values(schema.getMutationType()!.getFields()).map((field) => [field.name, field] as const))(
  'the mutation %s',
  (name, field) => {
    test('takes one input', () => {
      expect(field.args.map((arg) => `${arg.name}: ${String(arg.type)}`)).toEqual([
        `input: ${name.charAt(0).toUpperCase()}${name.slice(1)}Input!`,
      ])
    })

    test('answers a union of one success and typed problems, or one object', () => {
      expect(isNonNullType(field.type)).toBe(true)
      const answer = schema.getType(String(field.type).slice(0, -1))
      if (!isUnionType(answer)) return expect(name).toBe('validateFlow')
      const [problems, successes] = [isProblem, (type: GraphQLObjectType) => !isProblem(type)].map((rule) =>
        answer.getTypes().filter(rule),
      )
      expect(successes!.map((type) => type.name)).toEqual([answer.name.replace(/Result$/, 'Success')])
      expect(problems!.length).toBeGreaterThan(0)
    })
  },
)
const isProblem = (type: GraphQLObjectType) => type.getInterfaces().some(({ name }) => name === 'Problem')

test('every list that is paged takes at most 100: connections have first and last, and cost their page', () => {
  const connections = types
    .filter(isObjectType)
    .flatMap((type) => Object.values(type.getFields()).filter((field) => String(field.type).endsWith('Connection!')))
  expect(connections.length).toBeGreaterThan(3)
  for (const field of connections) {
    const args = field.args.map(({ name }) => name)
    // the items of a map are only walked forwards
    const ways = field.name === 'items' ? ['first', 'after'] : ['first', 'last', 'before', 'after']
    expect(args, field.name).toEqual(expect.arrayContaining(ways))
    const cost = field.extensions['complexity'] as (args: object) => unknown
    expect(cost({ first: 50 }), field.name).toMatchObject({ multiplier: 50 })
  }
})

test('an object with `version` has it as the lock: an Int that cannot be null', () => {
  for (const type of types.filter(isObjectType)) {
    const version = type.getFields()['version']
    if (version) expect(String(version.type), type.name).toBe('Int!')
  }
})

test.each(EXAMPLES.map(({ query }) => [query.split('\n')[0]!, query] as const))('the example "%s" is valid', (_name, query) => {
  expect(validate(schema, parse(query)).map(({ message }) => message)).toEqual([])
})
