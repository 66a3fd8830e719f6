/** TLS of the guarded client: certificates are verified against the name that was asked for, whatever the environment says (D6, B15). */
import { once } from 'node:events'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { createGuardedClient } from '../../src/outbound/guarded-client.ts'
import type { GuardedClientOptions } from '../../src/outbound/guarded-client.ts'
import { selfSigned } from '../harness/self-signed.ts'
import { startStubService } from '../harness/stub-service.ts'

async function secureService(...names: string[]): Promise<{ port: number; cert: string; asked: string[] }> {
  const { key, cert } = selfSigned(...names)
  const asked: string[] = []
  const server = createServer({ key, cert }, (request, response) => {
    asked.push(request.url!)
    if (request.url === '/down') response.writeHead(302, { location: 'http://service.test/' }).end()
    else response.end('secure')
  })
  server.on('tlsClientError', () => undefined).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close().closeAllConnections())
  return { port: (server.address() as AddressInfo).port, cert, asked }
}

async function codeOf(port: number, options: Partial<GuardedClientOptions>, url = `https://service.test:${port}/`) {
  const client = createGuardedClient({
    ...{ allow: [`service.test:${port}`, `127.0.0.1:${port}`], ports: [443, 80], resolve: async () => ['127.0.0.1'] },
    ...options,
  })
  onTestFinished(() => client.close())
  const result = await client.request({ method: 'GET', url, timeoutMs: 5_000, maxBytes: 1_000 })
  return result.ok ? result.status : result.code
}

test('a certificate of the right name, by a trusted authority, is good', async () => {
  const { port, cert } = await secureService('service.test')
  expect(await codeOf(port, { ca: cert })).toBe(200)
})

test('one that nobody trusts is not, also when the environment says that it does not matter', async () => {
  const { port, asked } = await secureService('service.test')
  expect(await codeOf(port, {})).toBe('UNTRUSTED')
  process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0'
  onTestFinished(() => void delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'])
  expect(await codeOf(port, {})).toBe('UNTRUSTED')
  expect(asked).toEqual([])
})

test('one of another name is not, nor is an address instead of the name', async () => {
  const { port, cert, asked } = await secureService('other.test')
  expect(await codeOf(port, { ca: cert })).toBe('UNTRUSTED')
  expect(await codeOf(port, { ca: cert }, `https://127.0.0.1:${port}/`)).toBe('UNTRUSTED')
  expect(asked).toEqual([])
})

test('a redirect from https to http is not followed', async () => {
  const { port, cert, asked } = await secureService('service.test')
  const allow = ['service.test:80', `service.test:${port}`]
  expect(await codeOf(port, { ca: cert, allow }, `https://service.test:${port}/down`)).toBe('REDIRECT_REFUSED')
  expect(asked).toEqual(['/down'])
})

test('what speaks no TLS is a failure, not an answer', async () => {
  await using plain = await startStubService((_asked, response) => response.end('plain'))
  expect(await codeOf(plain.port, {})).toMatch(/UNTRUSTED|NETWORK/)
})
