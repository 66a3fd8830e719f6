/** What is served beside the API: GraphiQL, health, metrics. */
import { once } from 'node:events'
import { parse } from 'graphql'
import type { DocumentNode } from 'graphql'
import { Registry } from 'prom-client'
import { expect, onTestFinished, test } from 'vitest'
import { definitionJsonSchema } from '../../src/language/definition-json-schema.ts'
import { openApiPort } from '../../src/server/api-port.ts'
import { startMetricsServer } from '../../src/server/metrics.ts'
import { WebSocket } from 'ws'
import { post, RawSocket, serve } from './test-server.ts'

test('GraphiQL is a page without inline scripts, whose assets come from this server alone', async () => {
  const { url, server } = await serve()
  const page = await fetch(url, { headers: { accept: 'text/html' } })
  expect(page.status).toBe(200)
  expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8')
  const html = await page.text()
  expect(html).not.toMatch(/<script(?![^>]* src=)/)
  const assets = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1]!).filter((link) => link !== 'data:,')
  expect(assets.length).toBeGreaterThan(2)
  for (const path of [
    ...assets,
    '/graphql/assets/client.js',
    '/graphql/assets/one-operation.js',
    '/graphql/assets/examples.json',
    '/graphql/assets/graphql-worker.js',
  ]) {
    const asset = await fetch(new URL(path, server.url))
    expect(asset.status, path).toBe(200)
    expect((await asset.text()).length, path).toBeGreaterThan(20)
  }
})

test('of a tab with several operations the page sends the picked one, with the fragments that it uses', async () => {
  const { oneOperation } = (await import(new URL('../../src/server/graphiql/one-operation.js', import.meta.url).href)) as {
    oneOperation(operation: unknown, document: DocumentNode, query: string): string
  }
  const query = `query A { ...F } # first
    fragment F on Query { hello item { ...G } }
    query B { hello }
    fragment G on Item { name ...G }
    fragment H on Item { name }`
  const document = parse(query)
  expect(oneOperation(document.definitions[0], document, query)).toBe(
    'query A { ...F }\nfragment F on Query { hello item { ...G } }\nfragment G on Item { name ...G }',
  )
  expect(oneOperation(document.definitions[2], document, query)).toBe('query B { hello }')
})

test('what graphql-ws imports is served too', async () => {
  const { server } = await serve()
  const assets = `${server.url}/graphql/assets/`
  const client = await (await fetch(`${assets}client.js`)).text()
  const imported = [...client.matchAll(/from '\.\/([^']+)'/g)].map((match) => match[1]!)
  expect(imported.length).toBeGreaterThan(0)
  for (const name of imported) expect((await fetch(assets + name)).status, name).toBe(200)
})

test('the schema of definitions is served to editors, once', async () => {
  const { server } = await serve()
  const path = `${server.url}/schema/definition.json`
  const response = await fetch(path)
  expect(response.headers.get('content-type')).toBe('application/schema+json; charset=utf-8')
  expect(await response.json()).toEqual(definitionJsonSchema())
  const etag = response.headers.get('etag')!
  expect((await fetch(path, { headers: { 'if-none-match': etag } })).status).toBe(304)
  expect((await fetch(path, { method: 'POST' })).status).toBe(404)
})

test('an asset that the browser has already is not sent again', async () => {
  const { server } = await serve()
  const path = `${server.url}/graphql/assets/page.js`
  const etag = (await fetch(path)).headers.get('etag')!
  expect((await fetch(path, { headers: { 'if-none-match': etag } })).status).toBe(304)
})

test('live is always ok; ready says what it waits for', async () => {
  const waitingFor = ['database', 'migrations']
  const without: string[] = []
  const { server } = await serve({ askReadiness: () => ({ waitingFor, without }) })
  const health = async (path: string) => {
    const response = await fetch(`${server.url}/health/${path}`)
    return [response.status, await response.json()]
  }
  expect(await health('live')).toEqual([200, { status: 'ok' }])
  expect(await health('ready')).toEqual([503, { status: 'waiting', waitingFor: ['database', 'migrations'] }])
  waitingFor.length = 0
  expect(await health('ready')).toEqual([200, { status: 'ok' }])
  without.push('Redis')
  expect(await health('ready')).toEqual([200, { status: 'ok', without: ['Redis'] }])
})

test('metrics have their own port and count operations, refusals and sockets (A9)', async () => {
  const registry = new Registry()
  const { url, socketUrl } = await serve({ registry })
  const metrics = await startMetricsServer(registry, { host: '127.0.0.1', port: 0 }, () => ({
    waitingFor: ['lease'],
    without: [],
  }))
  onTestFinished(() => metrics.close())
  await post(url, '{ hello }')
  await post(url, '{ broken }')
  await post(url, '{ nothing }')
  await post(url, '{ hello }', { token: 'unknown' })
  await new RawSocket(socketUrl).open()
  const text = await (await fetch(metrics.url)).text()
  expect(text).toContain('sluice_api_operation_seconds_count{door="HTTP",outcome="ok"} 1')
  expect(text).toContain('sluice_api_operation_seconds_count{door="HTTP",outcome="failed"} 1')
  expect(text).toContain('sluice_api_operation_seconds_count{door="HTTP",outcome="refused"} 1')
  expect(text).toContain('sluice_api_refused_total{code="UNAUTHENTICATED"} 1')
  expect(text).toContain('sluice_api_sockets 1')
  expect((await fetch(new URL('/graphql', metrics.url))).status).toBe(404)
  // a worker has no other port
  expect((await fetch(new URL('/health/live', metrics.url))).status).toBe(200)
  expect((await fetch(new URL('/health/ready', metrics.url))).status).toBe(503)
})

test('before its doors open, and while it leaves, a server says so', async () => {
  const port = await openApiPort({ host: '127.0.0.1', port: 0 }, () => ({ waitingFor: ['database'], without: [] }))
  onTestFinished(() => port.close())
  expect((await fetch(`${port.url}/health/live`)).status).toBe(200)
  const ready = await fetch(`${port.url}/health/ready`)
  expect([ready.status, await ready.json()]).toEqual([503, { status: 'waiting', waitingFor: ['database'] }])
  const early = await post(`${port.url}/graphql`, '{ hello }')
  expect([early.status, early.errors?.[0]?.extensions?.['code']]).toEqual([503, 'UNAVAILABLE'])
  const socket = new WebSocket(`${port.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws')
  expect((await once(socket, 'close')).map(String)).toEqual(['1013', 'The server is starting'])

  const { url } = await serve({ isLeaving: () => true })
  const body = JSON.stringify({ query: '{ hello }' })
  const answer = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
  expect([answer.status, answer.headers.get('connection')]).toEqual([200, 'close'])
})

test('a port that is taken is an error at start', async () => {
  const { server } = await serve()
  await expect(serve({ config: { port: Number(new URL(server.url).port) } })).rejects.toThrow('EADDRINUSE')
})
