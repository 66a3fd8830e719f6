/** The schema: the printed one is the real one, all of it is described and guarded, and what clients rely on is there. */
import {
  getNamedType,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isLeafType,
  isObjectType,
  isSpecifiedScalarType,
  isUnionType,
  parse,
  validate,
} from 'graphql'
import type { GraphQLEnumValue, GraphQLField, GraphQLInputField, GraphQLNamedType, GraphQLObjectType } from 'graphql'
import { expect, test } from 'vitest'
import { printSchema, schema } from '../../src/api/schema.ts'
import { SETTINGS } from '../../src/config/settings.ts'
import { PROBLEM_CODES } from '../../src/errors.ts'
import { CONTRACT, ENVIRONMENT, LATER } from './contract.ts'
import { read } from './source-files.ts'

const TYPES = Object.values(schema.getTypeMap()).filter((type) => !type.name.startsWith('__') && !isSpecifiedScalarType(type))
const ROOTS = [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()].filter((type) => type != null)

type Member = GraphQLField<unknown, unknown> | GraphQLInputField | GraphQLEnumValue

/** Fields of objects, interfaces and inputs; values of enums. */
function membersOf(type: GraphQLNamedType): Record<string, Member> {
  if (isObjectType(type) || isInterfaceType(type) || isInputObjectType(type)) return type.getFields()
  return isEnumType(type) ? Object.fromEntries(type.getValues().map((value) => [value.name, value])) : {}
}

test('schema.graphql is the schema as it is; `npm run schema` writes it', () => {
  expect(read('schema.graphql') === printSchema(), 'schema.graphql is out of date: run `npm run schema`').toBe(true)
})

test('every type, field, argument and value has a description', () => {
  const named = TYPES.flatMap((type): [string, string | null | undefined][] => [
    [type.name, type.description],
    ...Object.values(membersOf(type)).flatMap((member): [string, string | null | undefined][] => [
      [`${type.name}.${member.name}`, member.description],
      ...('args' in member ? member.args : []).map((arg): [string, string | null | undefined] => [
        `${type.name}.${member.name}(${arg.name})`,
        arg.description,
      ]),
    ]),
  ])
  expect(named.length).toBeGreaterThan(200)
  expect(named.filter(([, description]) => !description?.trim()).map(([name]) => name)).toEqual([])
})

/** The fields that anybody may ask for, also without a token. */
const PUBLIC = [
  'Query.viewer',
  'Mutation.signIn',
  'Mutation.refreshSession',
  'Mutation.requestPasswordReset',
  'Mutation.resetPassword',
]

test('every root field says who may ask for it, and only these are public (C1)', () => {
  const scopes = ROOTS.flatMap((root) =>
    Object.values(root.getFields()).map((field) => {
      const options = field.extensions['pothosOptions'] as { authScopes?: unknown } | undefined
      return { name: `${root.name}.${field.name}`, scope: options?.authScopes }
    }),
  )
  expect(scopes.filter(({ scope }) => typeof scope !== 'object' || scope === null || Object.keys(scope).length === 0)).toEqual([])
  const isPublic = ({ scope }: { scope?: unknown }): boolean => (scope as { public?: boolean }).public === true
  expect(
    scopes
      .filter(isPublic)
      .map(({ name }) => name)
      .sort(),
  ).toEqual([...PUBLIC].sort())
})

test('a deprecation says what to use instead, and until when', () => {
  const deprecated = TYPES.flatMap((type) => Object.values(membersOf(type)).flatMap((member) => member.deprecationReason ?? []))
  expect(deprecated.filter((reason) => !/use .+; removed after \d{4}-\d\d-\d\d/i.test(reason))).toEqual([])
})

/** `flow(id name): Flow` -> its parts. */
function readLine(line: string): { name: string; args: string[]; type: string | undefined } {
  const [, name = '', args = '', type] = /^(\w+)(?:\(([\w ]+)\))?(?:: (\S+))?$/.exec(line) ?? []
  return { name, args: args.split(' ').filter(Boolean), type }
}

/** What is missing of a line of the contract; undefined when all of it is there. */
function lacks(typeName: string, line: string): string | undefined {
  const type = schema.getType(typeName)
  if (!type) return `${typeName}: no such type`
  const { name, args, type: wanted } = readLine(line)
  const member = membersOf(type)[name]
  if (!member) return `${typeName}.${line}: no such field`
  const present = 'args' in member ? member.args.map((arg) => arg.name) : []
  const absent = args.filter((arg) => !present.includes(arg))
  if (absent.length > 0) return `${typeName}.${line}: no argument ${absent.join(', ')}`
  const actual = 'type' in member ? String(member.type) : undefined
  return wanted !== undefined && actual !== wanted ? `${typeName}.${line}: is ${actual}` : undefined
}

const LINES = Object.entries(CONTRACT).flatMap(([type, lines]) =>
  lines.map((line) => ({ type, line, name: `${type}.${readLine(line).name}` })),
)

test('what clients rely on is there, as it was promised', () => {
  const broken = LINES.filter(({ name }) => !(name in LATER)).flatMap(({ type, line }) => lacks(type, line) ?? [])
  expect([...Object.keys(CONTRACT).filter((type) => !schema.getType(type)), ...broken]).toEqual([])
})

test('what is said to come later is promised, and is not there yet', () => {
  const names = new Set(LINES.map(({ name }) => name))
  expect(Object.keys(LATER).filter((name) => !names.has(name))).toEqual([])
  expect(LINES.filter(({ type, line, name }) => name in LATER && lacks(type, line) === undefined)).toEqual([])
})

test('environment variables have the names and defaults that were promised', () => {
  const settings = new Map(
    Object.values(SETTINGS).flatMap((group) =>
      Object.values(group as Record<string, { name: string; fallback: string | undefined }>).map(
        ({ name, fallback }): [string, string | undefined] => [name, fallback],
      ),
    ),
  )
  for (const [name, fallback] of Object.entries(ENVIRONMENT)) {
    expect(settings.has(name), name).toBe(true)
    expect(settings.get(name), name).toBe(fallback)
  }
})

test('ProblemCode holds the codes of problems in errors.ts, with their texts', () => {
  const values = membersOf(schema.getType('ProblemCode')!)
  expect(Object.fromEntries(Object.values(values).map(({ name, description }) => [name, description]))).toEqual(PROBLEM_CODES)
})

/** Every field of a type: leaves as they are, the others by their `__typename`. */
function selectAll(type: GraphQLObjectType): string {
  const fields = Object.values(type.getFields()).map((field) =>
    isLeafType(getNamedType(field.type)) ? field.name : `${field.name} { __typename }`,
  )
  return `... on ${type.name} { ${fields.join(' ')} }`
}

test('one document may select every field of every member of each union', () => {
  const unions = TYPES.filter(isUnionType)
  expect(unions.map(({ name }) => name)).toContain('ExecutionFeedFrame')
  for (const union of unions) {
    const source = `fragment All on ${union.name} { __typename ${union.getTypes().map(selectAll).join(' ')} }`
    const used = rootSelecting(union.name)
    const errors = validate(schema, parse(`${used} { ...All } }\n${source}`))
    expect(
      errors.map(({ message }) => message),
      union.name,
    ).toEqual([])
  }
})

/** The beginning of an operation that asks for this union, with its required arguments. */
function rootSelecting(union: string): string {
  for (const root of ROOTS) {
    for (const field of Object.values(root.getFields())) {
      if (getNamedType(field.type).name !== union) continue
      const required = field.args.filter((arg) => String(arg.type).endsWith('!') && arg.defaultValue === undefined)
      const variables = required.map((arg) => `$${arg.name}: ${String(arg.type)}`).join(', ')
      const args = required.map((arg) => `${arg.name}: $${arg.name}`).join(', ')
      return `${root.name.toLowerCase()} All${variables && `(${variables})`} { ${field.name}${args && `(${args})`}`
    }
  }
  throw new Error(`no root field answers ${union}`)
}
