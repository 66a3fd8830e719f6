/** Readable ids as Relay's global ids. */
import fc from 'fast-check'
import { graphql } from 'graphql'
import { expect, test } from 'vitest'
import { decodeNodeId, encodeNodeId } from '../../src/api/node-ids.ts'
import { schema } from '../../src/api/schema.ts'
import { encodeId, newUuid } from '../../src/ids.ts'
import type { Call } from '../../src/operations/call.ts'

test('an id comes back as its type and UUID, for every node', () => {
  const nodes = schema.getPossibleTypes(schema.getType('Node') as never).map(({ name }) => name)
  expect(nodes.length).toBeGreaterThan(0)
  for (const typename of nodes) {
    const id = newUuid()
    expect(decodeNodeId(encodeNodeId(typename, id))).toEqual({ typename, id })
  }
})

test('no text makes it throw', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      expect(decodeNodeId(text)).toEqual({ typename: '', id: '' })
    }),
  )
})

const signedIn = { principal: { role: 'USER' }, standing: { role: 'USER' } } as unknown as Call

test('node and nodes answer null for what is no id, and for ids of what is no node', async () => {
  const ids = [
    '',
    'x',
    'exec_',
    'exec_zzzzzzzzzzzzzzzzzzzzzzzzzz',
    `${encodeId('execution', newUuid())}x`,
    encodeId('worker', newUuid()),
    encodeId('session', newUuid()),
  ]
  const source = 'query ($ids: [ID!]!, $id: ID!) { nodes(ids: $ids) { id } node(id: $id) { id } }'
  const { data, errors } = await graphql({ schema, source, contextValue: signedIn, variableValues: { ids, id: ids[3] } })
  expect(errors).toBeUndefined()
  expect(data).toEqual({ nodes: ids.map(() => null), node: null })
})

test('nodes takes 100 ids and not one more', async () => {
  const source = 'query ($ids: [ID!]!) { nodes(ids: $ids) { id } }'
  const ask = async (count: number) =>
    (await graphql({ schema, source, contextValue: signedIn, variableValues: { ids: Array.from({ length: count }, () => 'x') } }))
      .errors?.[0]
  expect(await ask(100)).toBeUndefined()
  expect((await ask(101))!.extensions['code']).toBe('BAD_REQUEST')
})
