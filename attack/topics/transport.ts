/** HTTP itself: requests hidden in requests, hosts that are made up, paths that climb, methods and headers of all kinds. */
import type { Topic } from '../trial.ts'

const CLIMBING = [
  '/graphql/assets/../../../../package.json',
  '/graphql/assets/..%2f..%2f..%2fpackage.json',
  '/graphql/assets/%2e%2e/%2e%2e/package.json',
  '/graphql/assets/....//....//package.json',
  '/graphql/assets/..\\..\\package.json',
  '/graphql/assets/%252e%252e%252fpackage.json',
  '/graphql/assets//etc/passwd',
  '/graphql/assets/page.js%00.css',
  '/graphql/assets/__proto__',
  '/graphql/assets/constructor',
  '/graphql/assets/graphiql.ts',
  '/graphql/assets/',
  '/../../etc/passwd',
  '/%2e%2e/%2e%2e/etc/passwd',
  '/.env',
  '/.git/config',
  '/.sluice/admin-password',
  '/package.json',
  '/src/main.ts',
  '/metrics',
  '/health/../graphql/../package.json',
  'file:///etc/passwd',
  'http://evil.example/graphql/assets/../../../etc/passwd',
]

export const transport: Topic = {
  name: 'transport',
  about: 'request smuggling, hosts, methods, header injection, path traversal',
  async run({ world, attempt }) {
    const { client, target, victim } = world
    const host = `host: 127.0.0.1:${target.port}`
    const query = '{"query":"{ viewer { email } }"}'
    const request = (lines: string[], body = ''): string => `${lines.join('\r\n')}\r\n\r\n${body}`
    const statuses = (answer: string): string[] => [...answer.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map(([, status]) => status!)
    const hidden = `GET /health/live HTTP/1.1\r\n${host}\r\n\r\n`

    const SMUGGLING: Record<string, string> = {
      'content-length and transfer-encoding': request(
        [
          'POST /graphql HTTP/1.1',
          host,
          'content-type: application/json',
          `content-length: ${5 + hidden.length}`,
          'transfer-encoding: chunked',
        ],
        `0\r\n\r\n${hidden}`,
      ),
      'two content-lengths': request(
        [
          'POST /graphql HTTP/1.1',
          host,
          'content-type: application/json',
          'content-length: 0',
          `content-length: ${hidden.length}`,
        ],
        hidden,
      ),
      'a list of content-lengths': request(['POST /graphql HTTP/1.1', host, 'content-length: 0, 44'], hidden),
      'a content-length with a sign': request(['POST /graphql HTTP/1.1', host, 'content-length: +5'], `aaaaa${hidden}`),
      'a hexadecimal content-length': request(['POST /graphql HTTP/1.1', host, 'content-length: 0x5'], `aaaaa${hidden}`),
      'transfer-encoding with a space': request(
        ['POST /graphql HTTP/1.1', host, 'transfer-encoding : chunked'],
        `0\r\n\r\n${hidden}`,
      ),
      'transfer-encoding twice': request(
        ['POST /graphql HTTP/1.1', host, 'transfer-encoding: chunked', 'transfer-encoding: identity'],
        `0\r\n\r\n${hidden}`,
      ),
      'transfer-encoding that is unknown': request(
        ['POST /graphql HTTP/1.1', host, 'transfer-encoding: xchunked'],
        `0\r\n\r\n${hidden}`,
      ),
      'a folded header': request(
        ['POST /graphql HTTP/1.1', host, 'x: y\r\n transfer-encoding: chunked', 'content-length: 0'],
        hidden,
      ),
      'bare line feeds': `POST /graphql HTTP/1.1\n${host}\ncontent-length: 0\n\n`,
      'NUL in a header': request(['GET /graphql HTTP/1.1', host, 'x: a\u0000b']),
      'two hosts': request(['GET /health/live HTTP/1.1', host, 'host: evil.example']),
      'no host': request(['GET /health/live HTTP/1.1']),
    }
    for (const [what, bytes] of Object.entries(SMUGGLING)) {
      await attempt(`smuggling by ${what}`, async () => {
        const found = statuses(await client.raw(bytes, 700))
        // one answer, and a refusal; a body that is framed plainly may be refused for what it is, and the next request answered
        const smuggled = found.length > 1 && !what.startsWith('a folded')
        if (smuggled) return `${found.length} answers: ${found.join()}`
        return found[0] === '200' ? 'it was answered with 200' : undefined
      })
    }
    for (const path of CLIMBING) {
      await attempt(`path ${path}`, async () => {
        const answer = await client.raw(request([`GET ${path} HTTP/1.1`, host, 'connection: close']))
        const [status] = statuses(answer)
        if (status === '200') return `it was answered: ${answer.slice(-100)}`
        return /root:|"dependencies"|\[core\]/.test(answer) ? 'it shows a file' : undefined
      })
    }
    for (const method of ['PUT', 'DELETE', 'PATCH', 'TRACE', 'CONNECT', 'PROPFIND', 'QUERY']) {
      await attempt(`method ${method}`, async () => {
        const answer = await client.raw(
          request(
            [
              `${method} /graphql HTTP/1.1`,
              host,
              `authorization: Bearer ${victim.token}`,
              'content-type: application/json',
              `content-length: ${query.length}`,
              'connection: close',
            ],
            query,
          ),
          700,
        )
        return answer.includes(victim.email) || answer.includes(victim.token) ? 'it was answered' : undefined
      })
    }
    await attempt('a header of mine in the answer', async () => {
      for (const value of ['x%0d%0aset-cookie: a=b', 'abcdefgh\tset-cookie', 'a'.repeat(5_000)]) {
        const answer = await client.raw(
          request(['GET /health/live HTTP/1.1', host, `x-request-id: ${value}`, `origin: ${value}`, 'connection: close']),
        )
        if (/^set-cookie/im.test(answer) || answer.includes(value)) return `${value.slice(0, 30)} is reflected`
      }
      return undefined
    })
    await attempt('headers without end', async () => {
      const [status] = statuses(
        await client.raw(request(['GET /health/live HTTP/1.1', host, ...Array.from({ length: 5_000 }, (_, n) => `x-${n}: y`)])),
      )
      return status === '431' || status === undefined ? undefined : `it was answered with ${status}`
    })
    await attempt('a host of somebody else in links', async () => {
      const answer = await client.raw(
        request([
          'GET /graphql HTTP/1.1',
          'host: evil.example',
          'x-forwarded-host: evil.example',
          'accept: text/html',
          'connection: close',
        ]),
      )
      return answer.includes('evil.example') ? 'it shows in the page' : undefined
    })
    await attempt('what the server says of itself', async () => {
      const answer = await client.raw(request(['GET /nothing HTTP/1.1', host, 'connection: close']))
      return /^(server|x-powered-by):/im.test(answer) ? 'it names its software' : undefined
    })
    await attempt('the headers that every answer has', async () => {
      for (const path of ['/graphql', '/health/live', '/nothing', '/graphql/assets/page.js']) {
        const { headers } = await fetch(client.url + path, { headers: { accept: 'text/html' } })
        for (const name of ['x-content-type-options', 'content-security-policy', 'strict-transport-security', 'referrer-policy'])
          if (!headers.has(name)) return `${path} lacks ${name}`
      }
      return undefined
    })
  },
}
