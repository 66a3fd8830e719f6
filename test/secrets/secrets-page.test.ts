/** docs/secrets.md tells the truth: its examples are run, in its order. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { testApi } from '../harness/api.ts'

const page = readFileSync(new URL('../../docs/secrets.md', import.meta.url), 'utf8')
const block = (info: string): string => {
  const found = page.split(`\`\`\`${info}\n`)[1]?.split('```')[0]
  if (found === undefined) throw new Error(`no block ${info}`)
  return found
}
/** `"..."` on the page stands for any text. */
const wanted = (json: string): unknown =>
  JSON.parse(json, (_key, value: unknown) => (value === '...' ? (expect.any(String) as unknown) : value))

const directory = mkdtempSync(join(tmpdir(), 'sluice-page-'))
writeFileSync(join(directory, 'charge.mjs'), block('ts handler'))
afterAll(() => rmSync(directory, { recursive: true }))
const api = await testApi({ handlersDirectory: directory })

test('the examples of the page, from a secret to what is masked and unmasked (B9)', async () => {
  const heard: (string | undefined)[] = []
  const server = createServer((request, response) => {
    heard.push(request.headers.authorization)
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString()))
    request.on('end', () => {
      const received: unknown = JSON.parse(body)
      response.end(JSON.stringify({ authorization: request.headers.authorization, received }))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  try {
    const who = await api.person()
    expect((await api.run(who, block('graphql set'), { value: 'changeme' })).data.setSecret.issues[0].path).toEqual(['value'])
    const stored = await api.run(who, block('graphql set'), { value: 'sk_live_4eC39HqLyjW' })
    expect(stored.data.setSecret).toEqual({ secret: { name: 'stripe_key', version: 1 } })
    const definition: unknown = JSON.parse(block('json definition'))
    const create = `mutation ($definition: JSON!) { createFlow(input: { definition: $definition }) { __typename } }`
    expect((await api.run(who, create, { definition })).data.createFlow.__typename).toBe('CreateFlowSuccess')
    const input = { url, card: { number: '4111 1111 1111 1111', holder: 'Ada' } }
    const start = `mutation ($input: JSON!) { startExecution(input: { flow: "charge_customer", input: $input, waitMs: 20000 }) {
      ... on StartExecutionSuccess { execution { id } } } }`
    const started = await api.run(who, start, { input })
    const { id } = started.data.startExecution.execution
    expect((await api.run(who, block('graphql read'), { id })).data.node).toEqual(wanted(block('json masked')))
    expect(heard).toEqual(['Bearer sk_live_4eC39HqLyjW'])
    expect((await api.run(who, block('graphql unmask'), { id })).data.node.input).toEqual(input)
  } finally {
    server.close()
  }
})
