/** A page of somebody else's in the victim's browser: forged requests (CSRF), hijacked sockets (CSWSH), answers read across origins. */
import type { Topic } from '../trial.ts'

const MUTATION = 'mutation { signOut(input: {}) { __typename } }'
const SIMPLE = [
  'text/plain',
  'application/x-www-form-urlencoded',
  'multipart/form-data; boundary=x',
  'application/json-patch',
  'text/plain; application/json',
  '',
]

const ORIGINS = [
  'https://evil.example',
  'null',
  'http://localhost.evil.example',
  'http://127.0.0.1.evil.example',
  'http://localhost:1',
  'https://localhost:3000',
  'http://localhost:3000.evil.example',
  'http://internal-dashboard.evil.example',
  'http://LOCALHOST:3000@evil.example',
  'http://localhost:3000/',
  'http://localhost:30000',
  'file://',
]

export const crossSite: Topic = {
  name: 'cross-site',
  about: 'forged requests, hijacked sockets, answers read across origins, framing',
  async run({ world, attempt }) {
    const { client, victim } = world
    const headers = { authorization: `Bearer ${victim.token}` }
    for (const type of SIMPLE) {
      await attempt(`a form without a preflight (${type || 'no type'})`, async () => {
        const bodies = [JSON.stringify({ query: MUTATION }), `query=${encodeURIComponent(MUTATION)}`]
        for (const body of bodies) {
          const { status } = await fetch(`${client.url}/graphql`, {
            method: 'POST',
            headers: { ...headers, 'content-type': type },
            body: Buffer.from(body),
          })
          if (status < 400) return `it was answered with ${status}`
        }
        return undefined
      })
    }
    await attempt('a mutation by GET', async () => {
      for (const accept of ['application/json', '*/*', 'application/graphql-response+json']) {
        const answer = await fetch(`${client.url}/graphql?query=${encodeURIComponent(MUTATION)}`, {
          headers: { ...headers, accept },
        })
        if (answer.status < 400 && (await answer.text()).includes('"data"')) return 'it ran'
      }
      return undefined
    })
    await attempt('the method in a header', async () => {
      const answer = await fetch(`${client.url}/graphql?query=${encodeURIComponent(MUTATION)}`, {
        headers: { ...headers, 'x-http-method-override': 'POST', 'x-method-override': 'POST', accept: 'application/json' },
      })
      return (await answer.text()).includes('SignOutSuccess') ? 'it ran' : undefined
    })
    await attempt('a cookie instead of a token', async () => {
      const cookie = `authorization=Bearer ${victim.token}; token=${victim.token}; session=${victim.token}`
      const { data } = await client.send('{ viewer { id } }', { headers: { cookie } })
      return data?.viewer ? 'cookies authenticate' : undefined
    })
    for (const origin of ORIGINS) {
      await attempt(`a request of ${origin}`, async () => {
        const { status, headers: got } = await client.send('{ viewer { id } }', { token: victim.token, headers: { origin } })
        if (status < 400) return `it was answered with ${status}`
        return got.get('access-control-allow-origin') ? 'its page may read the answer' : undefined
      })
      await attempt(`a preflight of ${origin}`, async () => {
        const answer = await fetch(`${client.url}/graphql`, {
          method: 'OPTIONS',
          headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' },
        })
        return answer.headers.get('access-control-allow-origin') ? 'it is allowed' : undefined
      })
      await attempt(`a socket of ${origin}`, async () => ((await client.open({ origin })) ? 'it was opened' : undefined))
    }
    await attempt('a socket without our protocol', async () => {
      for (const protocol of ['graphql-ws', 'chat']) {
        const socket = await client.open({ protocol })
        socket?.send({ type: 'connection_init', payload: headers })
        const ack = await socket?.next(({ type }) => type === 'connection_ack', 1_000)
        socket?.close()
        if (ack) return `${protocol} was acknowledged`
      }
      return undefined
    })
    await attempt('a frame around the page', async () => {
      const page = await fetch(`${client.url}/graphql`, { headers: { accept: 'text/html' } })
      const policy = page.headers.get('content-security-policy') ?? ''
      if (!/frame-ancestors 'none'/.test(policy) && page.headers.get('x-frame-options') !== 'DENY') return 'it may be framed'
      return /script-src[^;]*('unsafe-inline'|'unsafe-eval'|\*|https:)/.test(policy) ? `scripts: ${policy}` : undefined
    })
    await attempt('markup in what is reflected', async () => {
      const script = '<script>alert(1)</script>'
      for (const path of [`/${script}`, `/graphql?query=${script}`, `/graphql/assets/${script}`]) {
        const answer = await fetch(client.url + path, { headers: { accept: 'text/html', 'x-request-id': script } })
        const text = await answer.text()
        if (answer.headers.get('content-type')?.includes('html') && text.includes(script)) return `${path} is reflected as a page`
        if (answer.headers.get('x-content-type-options') !== 'nosniff') return `${path} may be sniffed`
      }
      return undefined
    })
  },
}
