/** The audit suite of the GraphQL over HTTP specification, as its authors wrote it. https://graphql.github.io/graphql-over-http/draft/ */
import { auditServer } from 'graphql-http'
import { expect, test } from 'vitest'
import { serve } from './test-server.ts'

test.each([
  ['in development, by anybody', { production: false, token: undefined }],
  ['in production, by an administrator', { production: true, token: 'admin' }],
])('no MUST and no SHOULD of GraphQL over HTTP is missed: %s (B8, C1)', async (_name, { production, token }) => {
  const { url } = await serve({ production })
  const headers = token && { authorization: `Bearer ${token}` }
  const fetchFn = (input: string, init: RequestInit = {}) => fetch(input, { ...init, headers: { ...headers, ...init.headers } })
  const results = await auditServer({ url, fetchFn })
  expect(results.length).toBeGreaterThan(50)
  const missed = results.filter(({ status }) => status !== 'ok')
  const line = ({ id, name, ...rest }: (typeof missed)[number]) => `${id} ${name}: ${'reason' in rest ? rest.reason : ''}`
  console.log(`${results.length - missed.length} of ${results.length} audits pass; not: ${missed.map(line).join('; ')}`)
  expect(missed.filter(({ status }) => status === 'error').map(line)).toEqual([])
  expect(missed.filter(({ status }) => status === 'warn').map(line)).toEqual([])
  // what may be and is closed: GET of what is not persisted
  expect(missed.map(({ id }) => id)).toEqual(['5A70', 'D6D5', '6A70'])
})
