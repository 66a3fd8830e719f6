/** Server-side request forgery: steps that would call what their author cannot reach, by spelling, by name, by redirect (B15, D3). */
import { STRANGE_NAMES } from '../outside.ts'
import type { Outcome, Topic } from '../trial.ts'

/** This machine; the canary listens there. */
const SPELLINGS = [
  ...['127.0.0.1', 'localhost', 'LOCALHOST', '127.1', '127.0.1', '2130706433', '0x7f000001', '0x7f.0x0.0x0.0x1', '0177.0.0.1'],
  ...[
    '017700000001',
    '127.0.0.1.',
    '127.000.000.001',
    '%31%32%37.0.0.1',
    '１２７.０.０.１',
    '127。0。0。1',
    '①②⑦.⓪.⓪.①',
    '0',
    '0.0.0.0',
  ],
  ...[
    '127.0.0.3',
    '127.255.255.254',
    '[::1]',
    '[::]',
    '[0:0:0:0:0:0:0:1]',
    '[::ffff:127.0.0.1]',
    '[::ffff:7f00:1]',
    '[::127.0.0.1]',
  ],
  ...['[64:ff9b::127.0.0.1]', '[64:ff9b:1::7f00:1]', '[2002:7f00:1::]', '[2001:0:7f00:1::]', '[::ffff:0:127.0.0.1]'],
]
/** Where clouds hand out credentials, where networks are administered. */
const INSIDE = [
  ...[
    '169.254.169.254',
    '[fd00:ec2::254]',
    '[fe80::a9fe:a9fe]',
    '169.254.170.2',
    '100.100.100.200',
    '192.0.0.192',
    '168.63.129.16:32526',
  ],
  ...[
    '10.0.0.1',
    '172.16.0.1',
    '192.168.0.1',
    '192.168.1.254',
    '100.64.0.1',
    '198.18.0.1',
    '[fc00::1]',
    '[fd12:3456:789a::1]',
    '[fec0::1]',
  ],
  ...[
    '224.0.0.1',
    '255.255.255.255',
    '240.0.0.1',
    '[ff02::1]',
    '0.0.0.1',
    '192.0.2.1',
    '203.0.113.1',
    '[2001:db8::1]',
    '[3fff::1]',
  ],
  ...['2852039166', '0xa9fea9fe', '[::ffff:169.254.169.254]', '[64:ff9b::a9fe:a9fe]', '[2a00:1::5efe:a9fe:a9fe]'],
]
const SCHEMES = [
  ...[
    'file:///etc/passwd',
    'gopher://127.0.0.1:6379/_FLUSHALL',
    'ftp://127.0.0.1/',
    'dict://127.0.0.1:11211/',
    'data:,x',
    'ws://127.0.0.1/',
  ],
  ...[
    'jar:http://127.0.0.1!/',
    'unix:/var/run/docker.sock',
    '//127.0.0.1/',
    '\\\\127.0.0.1\\share',
    'http:/\\127.0.0.1',
    'blob:http://127.0.0.1/',
  ],
]
const HEADERS = [
  'a\r\nx-injected: 1',
  'a\nx-injected: 1',
  'a\r\n\r\nGET /injected HTTP/1.1\r\nhost: x\r\n\r\n',
  'a\0b',
  'a\u010ax-injected: 1',
]
const CLIMBING = [
  '../admin',
  '..',
  '.',
  '%2e%2e/admin',
  '..%2fadmin',
  '..\\admin',
  'x/../../admin',
  '?admin=1',
  '#admin',
  '@127.0.0.1',
  'a\r\nb',
]
const AT_ONCE = 8

export const outbound: Topic = {
  name: 'outbound',
  about: 'SSRF: spellings of addresses, metadata, rebinding names, redirects, schemes, header injection, endless answers',
  async run({ world, attempt, quick }) {
    const { client, attacker, outside } = world
    const { token } = attacker
    const { door, otherDoor, canaryPort } = outside
    const once = { attempts: 1 }

    const create = async (name: string, step: object): Promise<string> => {
      const definition = {
        name,
        input: { type: 'object' },
        steps: { call: { type: 'http', timeout: 'PT5S', retry: once, ...step } },
      }
      const made = await client.mutate(token, 'createFlow', { definition }, 'flow { id }')
      if (!made.flow) throw new Error(JSON.stringify(made))
      return name
    }
    interface Ended {
      status: string
      error: { code: string; message: string } | null
    }
    const start = async (flow: string, input: object): Promise<Ended> => {
      const selection = 'execution { status error { code message } }'
      const started = await client.mutate(token, 'startExecution', { flow, input, waitMs: 20_000 }, selection)
      return started.execution ?? { status: 'NOT_STARTED', error: null }
    }
    /** Held when it fails with one of these and the canary slept on. */
    const expectFailure = async (ended: Promise<Ended>, ...codes: string[]): Promise<Outcome> => {
      const before = outside.reached()
      const { status, error } = await ended
      if (outside.reached() > before) return 'the canary was reached'
      if (status !== 'FAILED' || !codes.includes(error!.code)) return `it is ${status} with ${error?.code}`
      return undefined
    }
    /** Held when, besides, nobody learns what the name was found to be. */
    const unnamed = async (ended: Promise<Ended>): Promise<Outcome> => {
      const outcome = await expectFailure(ended, 'HTTP_REFUSED', 'HTTP_NETWORK', 'CIRCUIT_OPEN')
      const { error } = await ended
      return outcome ?? (/169\.254|127\.0\.0\.[123](?!:)|::ffff/.test(error!.message) ? `it tells: ${error!.message}` : undefined)
    }
    const refused = (ended: Promise<Ended>): Promise<Outcome> => expectFailure(ended, 'HTTP_REFUSED')
    const inTurns = async <T>(items: readonly T[], each: (item: T) => Promise<void>): Promise<void> => {
      const rest = items.values()
      await Promise.all(Array.from({ length: AT_ONCE }, () => drain(rest, each)))
    }

    const anywhere = await create('anywhere', { url: '${{ input.url }}' })
    await attempt('a service that may be called, for comparison', async () => {
      const { status, error } = await start(anywhere, { url: `http://${door}/` })
      return status === 'SUCCEEDED' ? undefined : `the door is shut: ${error?.message}`
    })
    const forbidden = [...SPELLINGS.map((host) => `http://${host}:${canaryPort}/`), ...INSIDE.map((host) => `http://${host}/`)]
    await inTurns(forbidden, (url) => attempt(`a call of ${url}`, () => refused(start(anywhere, { url }))))
    await inTurns(SCHEMES, (url) => attempt(`a call of ${url}`, () => refused(start(anywhere, { url }))))
    const users = [`http://${door}@127.0.0.1:${canaryPort}/`, `http://a:b@${door}/`, `http://127.0.0.1:${canaryPort}\\@${door}/`]
    await inTurns(
      [...users, `http://127.0.0.1:${world.target.port}/health/live`, 'http://8.8.8.8:22/', 'http://127.0.0.2:5432/'],
      (url) => attempt(`a call of ${url}`, () => refused(start(anywhere, { url }))),
    )

    for (const status of [301, 302, 303, 307, 308]) {
      const wanted = quick ? forbidden.filter((_url, i) => i % 10 === status % 10) : forbidden
      await inTurns([...wanted, ...SCHEMES.slice(0, 3)], (to) =>
        attempt(`a ${status} to ${to}`, () =>
          refused(start(anywhere, { url: `http://${door}/redirect?${new URLSearchParams({ status: String(status), to })}` })),
        ),
      )
    }
    await attempt('a circle of redirects', () => {
      const to = '/redirect?to=/redirect'
      return expectFailure(start(anywhere, { url: `http://${door}${to}` }), 'HTTP_REFUSED', 'HTTP_STATUS')
    })

    const retried = await create('retried', { url: '${{ input.url }}', retry: { attempts: 4, delay: 'PT0.01S' } })
    for (const name of ['rebind', 'alternate', 'both', 'inside', 'mapped', 'metadata']) {
      const times = quick ? 2 : 10
      await inTurns(
        Array.from({ length: times }, (_, i) => `${name}-${i}`),
        (host) =>
          attempt(`the name ${host}`, () => unnamed(start(retried, { url: `http://${host}.${STRANGE_NAMES}:${canaryPort}/` }))),
      )
      await attempt(`a redirect to the name ${name}-r`, () => {
        const to = `http://${name}-r.${STRANGE_NAMES}:${canaryPort}/`
        const url = `http://${door}/redirect?${new URLSearchParams({ to })}`
        return unnamed(start(retried, { url }))
      })
    }

    const headed = await create('headed', { url: `http://${door}/`, headers: { 'x-said': '${{ input.said }}' } })
    for (const said of HEADERS) {
      await attempt(`a header ${JSON.stringify(said)}`, async () => {
        const before = outside.knocks.length
        const { status } = await start(headed, { said })
        const came = outside.knocks.slice(before).some(({ url, headers }) => 'x-injected' in headers || url.includes('injected'))
        return came || status === 'SUCCEEDED' ? `it was sent (${status})` : undefined
      })
    }
    const placed = await create('placed', { url: `http://${door}/users/\${{ input.id }}/orders` })
    for (const id of CLIMBING) {
      await attempt(`${JSON.stringify(id)} as a part of a URL`, async () => {
        const before = outside.knocks.length
        await start(placed, { id })
        const led = outside.knocks.slice(before).find(({ url }) => !/^\/users\/[^/?#]+\/orders$/.test(url))
        return led && `it led to ${led.url}`
      })
    }
    await attempt('credentials carried to another origin by a redirect', async () => {
      const url = `http://${door}/redirect?to=http://${otherDoor}/carried`
      const headers = { authorization: 'Bearer planted', cookie: 'planted=1', 'x-api-key': 'planted' }
      const { status } = await start(await create('carrying', { url, headers }), {})
      const came = outside.knocks.find((knock) => knock.url === '/carried')
      if (status !== 'SUCCEEDED' || !came) return `it cannot be judged: ${status}`
      return JSON.stringify(came.headers).includes('planted') ? 'they came along' : undefined
    })
    await attempt("a secret of the victim's", async () => {
      const step = { type: 'http', url: `http://${door}/`, headers: { x: '${{ secrets.mine }}' }, secrets: ['mine'] }
      const made = await client.mutate(
        token,
        'createFlow',
        { definition: { name: 'stolen', steps: { call: step } } },
        'flow { id }',
      )
      return made.flow ? 'the flow was made' : undefined
    })

    for (const [path, ...codes] of [
      ['bomb', 'HTTP_ANSWER'],
      ['endless', 'HTTP_ANSWER'],
      ['headers', 'HTTP_ANSWER', 'HTTP_NETWORK'],
      ['drip', 'TIMEOUT'],
    ] as const) {
      await attempt(`an answer that is ${path}`, async () => {
        const hungry = await create(`answer_${path}`, { url: `http://${door}/${path}`, timeout: 'PT1S' })
        let outcome: Outcome
        const cpuMs = await world.target.cpuOf(async () => {
          outcome = await expectFailure(start(hungry, {}), ...codes)
        })
        return outcome ?? (cpuMs > 1_500 ? `it cost ${cpuMs} ms of CPU` : undefined)
      })
    }
    await attempt('all of it', async () =>
      outside.reached() === 0 ? undefined : `the canary was reached ${outside.reached()} times`,
    )
  },
}

async function drain<T>(rest: Iterator<T>, each: (item: T) => Promise<void>): Promise<void> {
  for (let next = rest.next(); !next.done; next = rest.next()) await each(next.value)
}
