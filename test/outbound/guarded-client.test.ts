/** The guarded client against real servers on this machine: where it goes, what it sends on, what it takes back. */
import { gzipSync, brotliCompressSync } from 'node:zlib'
import type { ServerResponse } from 'node:http'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createGuardedClient } from '../../src/outbound/guarded-client.ts'
import type { GuardedClientOptions, OutboundResponse } from '../../src/outbound/guarded-client.ts'
import type { OutboundProblem } from '../../src/outbound/outbound-problem.ts'
import type { OutboundRequest } from '../../src/outbound/outbound-request.ts'
import { startStubService } from '../harness/stub-service.ts'
import type { Asked, StubService } from '../harness/stub-service.ts'

async function service(answer: (asked: Asked, response: ServerResponse) => unknown): Promise<StubService> {
  const started = await startStubService(answer)
  onTestFinished(() => started.close())
  return started
}

type Ask = (url: string, more?: Partial<OutboundRequest>) => Promise<OutboundResponse | OutboundProblem>

function client(options: Partial<GuardedClientOptions> = {}): Ask & { circuits(): ReadonlyMap<string, string> } {
  const made = createGuardedClient({ allow: [], ports: [80, 443], ...options })
  onTestFinished(() => made.close())
  const ask: Ask = (url, more = {}) => made.request({ method: 'GET', url, timeoutMs: 5_000, maxBytes: 100_000, ...more })
  return Object.assign(ask, { circuits: made.circuits })
}

const codeOf = (result: OutboundResponse | OutboundProblem): string | number => (result.ok ? result.status : result.code)
const ok = (_asked: Asked, response: ServerResponse): unknown => response.end('{"fine":true}')

describe('where it goes (B15)', () => {
  test('an allowed service is asked, and its answer comes back', async () => {
    const stub = await service((_asked, response) => response.writeHead(201, { 'x-one': 'two' }).end('{"made":1}'))
    const ask = client({ allow: [stub.host] })
    const result = await ask(`${stub.url}/things?x=1`, { method: 'POST', headers: { 'X-Mine': 'yes' }, body: '{"a":1}' })
    expect(result).toMatchObject({ ok: true, status: 201, headers: { 'x-one': 'two' } })
    expect(result.ok && String(result.body)).toBe('{"made":1}')
    expect(stub.asked).toMatchObject([{ method: 'POST', path: '/things?x=1', body: '{"a":1}', headers: { 'x-mine': 'yes' } }])
  })

  test('this machine is not called, however its address is spelled', async () => {
    const stub = await service(ok)
    const { port } = stub
    const ask = client({ ports: [port] })
    const hosts = [
      ...['127.0.0.1', 'localhost', '127.1', '2130706433', '0x7f000001', '0x7f.0.0.1', '0177.0.0.1', '017700000001'],
      ...['127.0.0.1.', '%31%32%37.0.0.1', '１２７.０.０.１', '127。0。0。1', '0', '0.0.0.0', '127.255.255.254', '①27.0.0.1'],
      ...['[::1]', '[::]', '[0:0:0:0:0:0:0:1]', '[::ffff:127.0.0.1]', '[::ffff:7f00:1]', '[::127.0.0.1]', '[64:ff9b::7f00:1]'],
      ...['[2002:7f00:1::]', '[fe80::1]', '[fc00::1]', '10.0.0.1', '192.168.1.1', '172.16.0.1', '100.64.0.1', '169.254.169.254'],
    ]
    for (const host of hosts) expect([host, codeOf(await ask(`http://${host}:${port}/`))]).toEqual([host, 'REFUSED'])
    expect(stub.asked).toEqual([])
  })

  test('a name is looked up once, and what it was found to be is what is connected to', async () => {
    const stub = await service(ok)
    const looked: string[] = []
    // a name that leads where it may when it is judged, and elsewhere when it is asked again
    const rebinding = async (hostname: string): Promise<string[]> => [looked.push(hostname) === 1 ? '127.0.0.2' : '127.0.0.1']
    const ask = client({ allow: ['127.0.0.2'], ports: [stub.port], resolve: rebinding })
    expect(codeOf(await ask(`http://rebind.example:${stub.port}/`, { timeoutMs: 1_000 }))).toMatch(/TIMEOUT|NETWORK/)
    expect(looked).toEqual(['rebind.example'])
    expect(codeOf(await ask(`http://rebind.example:${stub.port}/`))).toBe('REFUSED')
    expect(stub.asked).toEqual([])
  })

  test('a name with one forbidden address among others is refused', async () => {
    const ask = client({ resolve: async () => ['93.184.216.34', '10.0.0.1'] })
    expect(codeOf(await ask('http://both.example/'))).toBe('REFUSED')
  })

  test('a name that the operator allows with its port leads into his network, but to no metadata', async () => {
    const stub = await service(ok)
    let address = '127.0.0.1'
    const ask = client({ allow: [`stub.internal:${stub.port}`], resolve: async () => [address] })
    expect(codeOf(await ask(`http://stub.internal:${stub.port}/`))).toBe(200)
    expect(stub.asked[0]!.headers.host).toBe(`stub.internal:${stub.port}`)
    address = '169.254.169.254'
    const fresh = client({ allow: [`stub.internal:${stub.port}`], resolve: async () => [address] })
    expect(codeOf(await fresh(`http://stub.internal:${stub.port}/`))).toBe('REFUSED')
  })

  test('other schemes, users in URLs, closed ports and what is no URL are refused', async () => {
    const stub = await service(ok)
    const ask = client({ allow: [stub.host] })
    const urls = [
      ...['file:///etc/passwd', 'ftp://example.com/', 'gopher://127.0.0.1:6379/_x', 'data:text/plain,x', '//example.com', ''],
      ...[`http://user:pass@${stub.host}/`, `http://user@${stub.host}/`, 'http://example.com:22/', 'http://[::1', 'http://'],
      ...[`http://${stub.host}/${'x'.repeat(9_000)}`, 'javascript:1', 'unix:/var/run/docker.sock', 'http://127.0.0.1:80\\@x/'],
    ]
    for (const url of urls) expect([url, codeOf(await ask(url))]).toEqual([url, 'REFUSED'])
    expect(stub.asked).toEqual([])
  })

  test('variables that name a proxy change nothing', async () => {
    const proxy = await service(ok)
    const stub = await service(ok)
    const names = ['HTTP_PROXY', 'http_proxy', 'HTTPS_PROXY', 'ALL_PROXY', 'NODE_USE_ENV_PROXY']
    for (const name of names) process.env[name] = name.startsWith('NODE') ? '1' : proxy.url
    onTestFinished(() => names.forEach((name) => delete process.env[name]))
    expect(codeOf(await client({ allow: [stub.host] })(`${stub.url}/`))).toBe(200)
    expect(proxy.asked).toEqual([])
  })
})

describe('redirects (B15)', () => {
  const to =
    (location: string, status = 302) =>
    (_asked: Asked, response: ServerResponse) =>
      response.writeHead(status, { location }).end()

  test('each is judged anew: what leads to a forbidden address is refused', async () => {
    const secret = await service(ok)
    for (const location of [secret.url, 'http://169.254.169.254/latest/meta-data', 'file:///etc/passwd', '//127.0.0.1:1/']) {
      const stub = await service(to(location))
      expect(codeOf(await client({ allow: [stub.host] })(`${stub.url}/`))).toBe('REFUSED')
    }
    expect(secret.asked).toEqual([])
  })

  test('inside an origin everything goes on; a POST becomes a GET without a body, except after 307 and 308', async () => {
    for (const status of [301, 302, 303, 307, 308]) {
      const stub = await service((asked, response) =>
        asked.path === '/' ? to('/next', status)(asked, response) : response.end(),
      )
      const headers = { authorization: 'Bearer x', 'content-type': 'text/plain' }
      expect(codeOf(await client({ allow: [stub.host] })(`${stub.url}/`, { method: 'POST', headers, body: 'words' }))).toBe(200)
      const [, last] = stub.asked
      expect(last).toMatchObject(status >= 307 ? { method: 'POST', body: 'words' } : { method: 'GET', body: '' })
      expect(last!.headers.authorization).toBe('Bearer x')
    }
  })

  test('across origins credentials stay behind, and no body goes on', async () => {
    const other = await service(ok)
    const headers = { authorization: 'Bearer x', cookie: 'a=b', 'x-api-key': 'k', accept: 'text/plain', 'idempotency-key': 'i' }
    const stub = await service((asked, response) => to(other.url, asked.method === 'PUT' ? 307 : 302)(asked, response))
    const ask = client({ allow: [stub.host, other.host] })
    expect(codeOf(await ask(`${stub.url}/`, { method: 'POST', headers, body: 'words' }))).toBe(200)
    const { accept, ...kept } = other.asked[0]!.headers
    expect(accept).toBe('text/plain')
    expect(Object.keys(kept).filter((name) => name in headers)).toEqual([])
    expect(codeOf(await ask(`${stub.url}/`, { method: 'PUT', body: 'words' }))).toBe('REDIRECT_REFUSED')
    expect(other.asked).toHaveLength(1)
  })

  test('five are followed, no sixth; none when none is wanted', async () => {
    const stub = await service((asked, response) => {
      const left = Number(asked.path.slice(1))
      return left === 0 ? response.end('there') : to(`/${left - 1}`)(asked, response)
    })
    const ask = client({ allow: [stub.host] })
    expect(codeOf(await ask(`${stub.url}/5`))).toBe(200)
    expect(codeOf(await ask(`${stub.url}/6`))).toBe('REDIRECT_REFUSED')
    expect(codeOf(await ask(`${stub.url}/6`, { maxRedirects: 0 }))).toBe(302)
  })
})

describe('what is sent (B15, D3)', () => {
  test('headers cannot hold a second request, nor what belongs to the connection', async () => {
    const stub = await service(ok)
    const ask = client({ allow: [stub.host] })
    const wrong: Record<string, string>[] = [
      { 'x-a': 'one\r\nx-b: two' },
      { 'x-a': 'one\nGET /admin HTTP/1.1' },
      { 'x-a': 'one\0two' },
      { 'x-a\r\nx-b': 'one' },
      { 'x a': 'one' },
      { 'x-a': 'ünï' },
      { '': 'one' },
      { host: 'other.example' },
      { Host: 'other.example' },
      { 'Transfer-Encoding': 'chunked' },
      { 'content-length': '3' },
      { connection: 'upgrade' },
      { upgrade: 'websocket' },
      { expect: '100-continue' },
      { 'proxy-authorization': 'x' },
      { 'X-Twice': 'a', 'x-twice': 'b' },
      { 'x-long': 'x'.repeat(17_000) },
    ]
    for (const headers of wrong) expect(codeOf(await ask(`${stub.url}/`, { headers }))).toBe('REFUSED')
    expect(codeOf(await ask(`${stub.url}/\r\nx: y`))).toBe(200)
    expect(stub.asked).toMatchObject([{ path: '/x:%20y' }])
  })

  test('methods are of a list, bodies are bounded, and a GET has none', async () => {
    const stub = await service(ok)
    const ask = client({ allow: [stub.host], maxRequestBytes: 100 })
    for (const method of ['CONNECT', 'TRACE', 'get', 'GET / HTTP/1.1\r\n', '']) {
      expect(codeOf(await ask(stub.url, { method }))).toBe('REFUSED')
    }
    expect(codeOf(await ask(stub.url, { method: 'POST', body: 'x'.repeat(100) }))).toBe(200)
    expect(codeOf(await ask(stub.url, { method: 'POST', body: 'x'.repeat(101) }))).toBe('REFUSED')
    expect(codeOf(await ask(stub.url, { body: 'x' }))).toBe('REFUSED')
  })

  test('no cookie is kept', async () => {
    const stub = await service((_asked, response) => response.writeHead(200, { 'set-cookie': 'a=b' }).end())
    const ask = client({ allow: [stub.host] })
    await ask(stub.url)
    await ask(stub.url)
    expect(stub.asked.map(({ headers }) => headers.cookie)).toEqual([undefined, undefined])
  })
})

describe('what comes back is bounded', () => {
  const MIB = Buffer.alloc(1_048_576, 'x')

  test('a body over its limit is not read, whether it says its length, says none, or unpacks to more', async () => {
    const bomb = gzipSync(Buffer.alloc(50_000_000))
    const stub = await service((asked, response) => {
      if (asked.path === '/length') return response.writeHead(200, { 'content-length': MIB.length }).end(MIB)
      if (asked.path === '/gzip') return response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb)
      const more = (): unknown => response.write(MIB, (error) => error ?? more())
      return more()
    })
    const ask = client({ allow: [stub.host] })
    for (const path of ['length', 'gzip', 'endless']) expect(codeOf(await ask(`${stub.url}/${path}`))).toBe('TOO_LARGE')
  })

  test('gzip and brotli are unpacked; what cannot be is a problem', async () => {
    const stub = await service((asked, response) => {
      const packed: Record<string, () => unknown> = {
        '/gzip': () => response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('words')),
        '/br': () => response.writeHead(200, { 'content-encoding': 'br' }).end(brotliCompressSync('words')),
        '/broken': () => response.writeHead(200, { 'content-encoding': 'gzip' }).end('words'),
        '/unknown': () => response.writeHead(200, { 'content-encoding': 'gzip, gzip' }).end('words'),
      }
      return packed[asked.path]?.()
    })
    const ask = client({ allow: [stub.host] })
    for (const path of ['gzip', 'br']) {
      const result = await ask(`${stub.url}/${path}`)
      expect(result.ok && String(result.body)).toBe('words')
    }
    expect(codeOf(await ask(`${stub.url}/broken`))).toBe('UNREADABLE')
    expect(codeOf(await ask(`${stub.url}/unknown`))).toBe('UNREADABLE')
  })

  test('headers over 16 KiB are a problem', async () => {
    const stub = await service((_asked, response) => response.writeHead(200, { 'x-long': 'x'.repeat(20_000) }).end())
    expect(codeOf(await client({ allow: [stub.host] })(stub.url))).toBe('TOO_LARGE')
  })

  test('what answers too late, or by drips, ends at its time', async () => {
    const drips: NodeJS.Timeout[] = []
    onTestFinished(() => drips.forEach(clearInterval))
    const stub = await service((asked, response) => {
      if (asked.path === '/silent') return
      response.writeHead(200)
      drips.push(setInterval(() => response.write('x'), 20))
    })
    const ask = client({ allow: [stub.host] })
    for (const path of ['silent', 'drip']) {
      const before = performance.now()
      expect(codeOf(await ask(`${stub.url}/${path}`, { timeoutMs: 200 }))).toBe('TIMEOUT')
      expect(performance.now() - before).toBeLessThan(2_000)
    }
  })

  test('a canceled request ends at once, and its connection too', async () => {
    const cancel = new AbortController()
    let closed: (() => void) | undefined
    const isClosed = new Promise<void>((resolve) => (closed = resolve))
    const stub = await service((_asked, response) => {
      response.on('close', () => closed!())
      cancel.abort()
    })
    expect(codeOf(await client({ allow: [stub.host] })(stub.url, { signal: cancel.signal }))).toBe('CANCELED')
    await isClosed
  })
})

describe('a problem says no more than it must', () => {
  test('messages name the origin, not paths, queries, headers or addresses', async () => {
    const dead = await service(ok)
    await dead.close()
    const ask = client({ allow: [dead.host], resolve: async () => ['10.7.7.7'] })
    const unreached = await ask(`${dead.url}/T0KEN/path?key=S3CRET`, { headers: { authorization: 'S3CRET' } })
    expect(unreached).toEqual({ ok: false, code: 'NETWORK', message: `${dead.url} could not be reached (ECONNREFUSED).` })
    const refused = await ask('http://inside.example/T0KEN?key=S3CRET')
    expect(refused).toEqual({
      ok: false,
      code: 'REFUSED',
      message: 'inside.example leads to an address that may not be called.',
    })
  })

  test('a name that nobody knows is a problem of the network', async () => {
    const unknown = Object.assign(new Error('no such name'), { code: 'ENOTFOUND' })
    const ask = client({ resolve: () => Promise.reject(unknown) })
    expect(codeOf(await ask('http://nowhere.example/'))).toBe('NETWORK')
  })
})

describe('circuits and room (A12)', () => {
  test('five failures in a row open the circuit; after a while one request tries, and closes it', async () => {
    let well = false
    const stub = await service((_asked, response) => response.writeHead(well ? 200 : 503).end())
    const ask = client({ allow: [stub.host], circuits: { openMs: 100 } })
    for (let i = 0; i < 5; i++) expect(codeOf(await ask(stub.url))).toBe(503)
    expect(ask.circuits()).toEqual(new Map([[stub.url, 'open']]))
    expect(codeOf(await ask(stub.url))).toBe('CIRCUIT_OPEN')
    expect(stub.asked).toHaveLength(5)
    well = true
    await expect.poll(async () => codeOf(await ask(stub.url))).toBe(200)
    expect(ask.circuits()).toEqual(new Map([[stub.url, 'closed']]))
    expect(stub.asked).toHaveLength(6)
  })

  test('a 500, a 404 and a request that gave no fair time do not count against the service', async () => {
    const stub = await service((asked, response) =>
      asked.path === '/silent' ? undefined : response.writeHead(Number(asked.path.slice(1))).end(),
    )
    const ask = client({ allow: [stub.host] })
    for (let i = 0; i < 6; i++) await ask(`${stub.url}/${i % 2 ? 500 : 404}`)
    for (let i = 0; i < 6; i++) await ask(`${stub.url}/silent`, { timeoutMs: 20 })
    expect(ask.circuits().get(stub.url)).toBe('closed')
  })

  test('one slow origin takes no more than its room, and leaves the others theirs', async () => {
    const waiting: ServerResponse[] = []
    const slow = await service((_asked, response) => waiting.push(response))
    const quick = await service(ok)
    const ask = client({ allow: [slow.host, quick.host], circuits: { perOrigin: 2, waiting: 1 } })
    const results = [ask(slow.url), ask(slow.url), ask(slow.url)]
    await expect.poll(() => slow.asked.length).toBe(2)
    expect(codeOf(await ask(slow.url))).toBe('BUSY')
    expect(codeOf(await ask(quick.url))).toBe(200)
    expect(slow.asked).toHaveLength(2)
    for (let answered = 0; answered < 3; answered++) {
      await expect.poll(() => waiting.length).toBeGreaterThan(0)
      waiting.shift()!.end()
    }
    expect((await Promise.all(results)).map(codeOf)).toEqual([200, 200, 200])
  })

  test('no more origins are remembered than it may', async () => {
    const stubs = await Promise.all([service(ok), service(ok), service(ok)])
    const ask = client({ allow: stubs.map(({ host }) => host), circuits: { origins: 2 } })
    for (const { url } of stubs) await ask(url)
    expect([...ask.circuits().keys()].toSorted()).toEqual([stubs[1].url, stubs[2].url].toSorted())
  })
})
