import { randomBytes } from 'node:crypto'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { readRedisUrl, redisAddress } from '../clients/agent/redis-address.ts'
import type { RedisAddress } from '../clients/agent/redis-address.ts'
import { ConfigError, describeConfig, loadConfig } from '../src/config/config.ts'
import { showConfig } from '../src/config/show-config.ts'
import type { Environment, Mode } from '../src/config/config.ts'

const STRONG = 'pZ4vN8q1Kx7Wd3Rt6Yb0Hs5Lm9Gc2Jf4Qa8Ue1Oi7'
const directory = mkdtempSync(join(tmpdir(), 'sluice-config-'))
afterAll(() => rmSync(directory, { recursive: true }))

function mistakesOf(env: Environment, mode: Mode = 'start'): readonly string[] {
  try {
    loadConfig(env, { mode })
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.mistakes
    throw error
  }
}
const production = (env: Environment = {}): Environment => ({
  NODE_ENV: 'production',
  SLUICE_JWT_SECRET: STRONG,
  SLUICE_SECRETS_KEY: STRONG,
  ...env,
})

function secretFile(text: string, mode = 0o600): string {
  const path = join(directory, randomBytes(6).toString('hex'))
  writeFileSync(path, text)
  chmodSync(path, mode)
  return path
}

describe('an environment with nothing set', () => {
  const config = loadConfig({}, { mode: 'start' })

  test('gives the documented defaults (B3, A8, E4)', () => {
    expect(config.nodeEnv).toBe('development')
    expect(config.server).toEqual({
      host: '127.0.0.1',
      port: 4000,
      metricsPort: undefined,
      publicUrl: undefined,
      trustedProxies: [],
      allowedOrigins: ['http://localhost:3000', 'http://internal-dashboard'],
      persistedOperations: [],
      persistedOnly: false,
      socketsPerPrincipal: 100,
      unnamedSocketsPerAddress: 100,
      streamsPerPrincipal: 100,
    })
    expect(config.limits).toEqual({
      apiPerMinute: 100,
      signInPerMinute: 5,
      flowWritesPerMinute: 10,
      runningPerInitiator: 100,
      childrenPerInitiator: 1000,
      balancedTokens: 1000,
    })
    expect(config.engine.leaseMs).toBe(10_000)
    expect(config.identity).toMatchObject({ adminEmail: 'admin@sluice.local', jwtSecret: undefined, adminPassword: undefined })
  })

  test('names the nine default agent roles (A2)', () => {
    expect(config.engine.agentRoles).toEqual(
      'ceo cto chro operations_head product_manager senior_architect uiux_engineer senior_developer test_lead'.split(' '),
    )
  })

  test('is frozen in every group and list', () => {
    for (const part of [config, config.server, config.server.allowedOrigins, config.identity, config.engine.agentRoles]) {
      expect(Object.isFrozen(part)).toBe(true)
    }
  })
})

describe('mistakes', () => {
  test('are listed all at once, each with the name of its variable (B13)', () => {
    const env = {
      PORT: 'http',
      SLUICE_LEASE_MS: '1',
      NODE_ENV: 'prod',
      CORS_ALLOWED_ORIGINS: 'https://a.example/',
      SLUICE_LOG_LEVEL: 'loud',
    }
    const mistakes = mistakesOf({ ...env, SLUICE_JWT_SECRT: 'x', DATABASE_URL: 'mysql://h/d', SLUICE_ADMIN_EMAIL: 'nobody' })
    const names = [
      'SLUICE_JWT_SECRT',
      'PORT',
      'SLUICE_LEASE_MS',
      'NODE_ENV',
      'CORS_ALLOWED_ORIGINS',
      'SLUICE_LOG_LEVEL',
      'DATABASE_URL',
    ]
    for (const name of [...names, 'SLUICE_ADMIN_EMAIL'])
      expect(mistakes.filter((line) => line.startsWith(`${name} `))).toHaveLength(1)
    expect(mistakes).toHaveLength(8)
    expect(() => loadConfig(env, { mode: 'start' })).toThrow(/5 mistakes:\n {2}- /)
  })

  test('show what was given, except in secrets (B13)', () => {
    expect(mistakesOf({ PORT: '70000' })).toEqual(['PORT must be a whole number from 0 to 65535 (it is "70000")'])
    const secrets = {
      SLUICE_JWT_SECRET: 'hunter-secret-1',
      SLUICE_ADMIN_PASSWORD: 'hunter',
      DATABASE_URL: 'http://hunter',
      REDIS_URL: 'hunter',
    }
    const mistakes = mistakesOf(production(secrets))
    expect(mistakes.length).toBeGreaterThanOrEqual(4)
    expect(mistakes.join()).not.toContain('hunter')
  })

  test('include a webhook whose alerts nobody signs, or that production would reach in clear text (C8)', () => {
    const url = 'http://alerts.example.com/sluice?token=hunter'
    expect(mistakesOf({ SLUICE_ALERT_WEBHOOK_URL: url })).toEqual([
      'SLUICE_ALERT_WEBHOOK_SECRET must be set when SLUICE_ALERT_WEBHOOK_URL is: make one with `openssl rand -base64 48`',
    ])
    const mistakes = mistakesOf(production({ SLUICE_ALERT_WEBHOOK_URL: url, SLUICE_ALERT_WEBHOOK_SECRET: 'short' }))
    expect(mistakes).toContain('SLUICE_ALERT_WEBHOOK_URL must begin with https://')
    expect(mistakes.join()).toContain('SLUICE_ALERT_WEBHOOK_SECRET')
    expect(mistakes.join()).not.toContain('hunter')
  })

  test('include dispatch by a Redis that is not named', () => {
    expect(mistakesOf({ SLUICE_DISPATCH: 'redis' })).toEqual(['REDIS_URL must be set when SLUICE_DISPATCH is redis'])
    expect(mistakesOf({ SLUICE_DISPATCH: 'redis', REDIS_URL: 'redis://localhost' })).toEqual([])
    expect(loadConfig({}, { mode: 'start' }).fleet.dispatch).toBe('postgres')
  })

  test('include that only persisted operations run and there are none', () => {
    expect(mistakesOf({ SLUICE_PERSISTED_ONLY: 'true' })).toEqual([
      'SLUICE_PERSISTED_OPERATIONS must be set when SLUICE_PERSISTED_ONLY is true: nothing could run',
    ])
    expect(mistakesOf({ SLUICE_PERSISTED_ONLY: 'yes' })).toEqual([
      'SLUICE_PERSISTED_ONLY must be one of true, false (it is "yes")',
    ])
    const { server } = loadConfig(
      { SLUICE_PERSISTED_ONLY: 'true', SLUICE_PERSISTED_OPERATIONS: '/a, /b.json' },
      { mode: 'start' },
    )
    expect(server).toMatchObject({ persistedOnly: true, persistedOperations: ['/a', '/b.json'] })
  })

  test('include SLUICE_ names that do not exist, with the one that was meant', () => {
    expect(mistakesOf({ SLUICE_LEASE: '5' })).toEqual(['SLUICE_LEASE is not a setting; did you mean "SLUICE_LEASE_MS"?'])
    expect(mistakesOf({ SLUICE_LEASE_MS_FILE: '/x' })[0]).toContain('SLUICE_LEASE_MS_FILE is not a setting')
    expect(mistakesOf({ OTHER_LEASE: '5' })).toEqual([])
  })

  test.each(['1e3', '-1', ' 80', '0x50', '4000.5', '99999'])('a port written as %j is one', (PORT) => {
    expect(mistakesOf({ PORT })).toHaveLength(1)
  })

  test.each(['*', 'https://a.example/path', 'app.example', 'null', 'ftp://a.example'])(
    'an allowed origin of %j is one (B7)',
    (origin) => {
      expect(mistakesOf({ CORS_ALLOWED_ORIGINS: `http://localhost:3000, ${origin}` })).toHaveLength(1)
    },
  )
})

test.each([
  ['', []],
  ['127.0.0.1, 10.0.0.0/8,2001:db8::/32', ['127.0.0.1', '10.0.0.0/8', '2001:db8::/32']],
])('trusted proxies %j are addresses and networks (B3)', (SLUICE_TRUSTED_PROXIES, expected) => {
  expect(loadConfig({ SLUICE_TRUSTED_PROXIES }, { mode: 'start' }).server.trustedProxies).toEqual(expected)
})

test('what steps may call besides public addresses is a list of networks, addresses and hosts with a port (B15)', () => {
  const { outbound } = loadConfig({ SLUICE_OUTBOUND_ALLOW: '10.1.0.0/16, billing.internal:8080' }, { mode: 'start' })
  expect(outbound).toEqual({ allow: ['10.1.0.0/16', 'billing.internal:8080'], ports: [80, 443] })
  for (const SLUICE_OUTBOUND_ALLOW of ['0.0.0.0/0', 'billing.internal', 'http://billing.internal', '*'])
    expect(mistakesOf({ SLUICE_OUTBOUND_ALLOW })).toHaveLength(1)
  expect(mistakesOf({ SLUICE_OUTBOUND_PORTS: '80,http' })).toHaveLength(1)
})

test.each(['*', 'proxy.example', '10.0.0.0/33', '0.0.0.0/0', '::/0', '10.0.0.1/'])(
  'trusted proxies %j are a mistake: nobody is believed by accident (B3)',
  (SLUICE_TRUSTED_PROXIES) => {
    expect(mistakesOf({ SLUICE_TRUSTED_PROXIES })).toHaveLength(1)
  },
)

test('a name set to nothing counts as unset, and an empty list of origins as none', () => {
  const config = loadConfig({ PORT: '', SLUICE_JWT_SECRET: '', HOST: '', CORS_ALLOWED_ORIGINS: '' }, { mode: 'start' })
  expect(config.server).toMatchObject({ port: 4000, host: '127.0.0.1', allowedOrigins: [] })
  expect(config.identity.jwtSecret).toBeUndefined()
})

describe('query sources', () => {
  test('are named URLs, and secret', () => {
    const SLUICE_QUERY_SOURCES = 'shop=postgres://reader:p@db/shop?a=b, memory=postgresql://r@%2Ftmp/m'
    const { queries } = loadConfig({ SLUICE_QUERY_SOURCES }, { mode: 'start' })
    expect(queries).toEqual({
      sources: [
        { name: 'shop', url: 'postgres://reader:p@db/shop?a=b' },
        { name: 'memory', url: 'postgresql://r@%2Ftmp/m' },
      ],
      poolSize: 4,
    })
    expect(
      loadConfig({ SLUICE_QUERY_SOURCES_FILE: secretFile('a=postgres://r@db/a') }, { mode: 'start' }).queries.sources,
    ).toHaveLength(1)
  })

  test.each([
    ['postgres://reader:p@db/shop', 'must hold name=postgres://..., with names of letters, digits and _'],
    ['a-b=postgres://reader:p@db/shop', 'must hold name=postgres://..., with names of letters, digits and _'],
    ['shop=mysql://reader:p@db/shop', 'must hold URLs that begin with postgres://'],
    ['shop=hunter2', 'must hold URLs that begin with postgres://'],
    ['a=postgres://r:p@db/a,a=postgres://r:p@db/b', 'must not name a source twice'],
  ])('%s is refused, without being quoted (B13)', (SLUICE_QUERY_SOURCES, mistake) => {
    expect(mistakesOf({ SLUICE_QUERY_SOURCES })).toEqual([`SLUICE_QUERY_SOURCES ${mistake}`])
  })

  test('over the network need TLS in production (D6)', () => {
    const sources = 'near=postgres://r@localhost/a,shop=postgres://r:p@db/a,safe=postgres://r@db/b?sslmode=verify-full'
    expect(mistakesOf(production({ SLUICE_QUERY_SOURCES: sources }))).toEqual([
      'SLUICE_QUERY_SOURCES has shop, which goes over the network: add sslmode=verify-full to it',
    ])
  })
})

describe('production', () => {
  test('starts with a strong secret and nothing else', () => {
    expect(loadConfig(production(), { mode: 'start' }).identity.jwtSecret).toBe(STRONG)
  })

  test('does not start without a signing secret (B1)', () => {
    expect(mistakesOf({ NODE_ENV: 'production' })).toEqual([
      expect.stringContaining('SLUICE_JWT_SECRET must be set in production'),
      expect.stringContaining('SLUICE_SECRETS_KEY must be set in production'),
    ])
    expect(mistakesOf({ NODE_ENV: 'production' }, 'migrate')).toEqual([])
  })

  test.each([
    ['short', STRONG.slice(0, 31)],
    ['one letter repeated', 'a'.repeat(64)],
    ['a piece repeated', 'Xk3!pQ9z'.repeat(5)],
    ['a row of the alphabet', 'abcdefghijklmnopqrstuvwxyz0123456789'],
    ['of few letters', 'abbababaabbabaabbaababbaabbabaab'.repeat(2)],
    ['a placeholder', 'change-me-please-7f3k2j5h8g1d4s6a9q0w'],
    ['the placeholder of a key', 'sk-your-key-here-7f3k2j5h8g1d4s6a9q0w'],
  ])('does not start with a signing secret that is %s (B1, B9)', (_what, secret) => {
    expect(mistakesOf(production({ SLUICE_JWT_SECRET: secret }))).toEqual([expect.stringMatching(/^SLUICE_JWT_SECRET /)])
    expect(mistakesOf({ SLUICE_JWT_SECRET: secret }), 'development may').toEqual([])
  })

  test('does not start with a weak secret among those that signed before (B1)', () => {
    const previous = (...secrets: string[]) => production({ SLUICE_JWT_PREVIOUS_SECRETS: secrets.join(', ') })
    expect(mistakesOf(previous(STRONG, 'changeme'))).toEqual([expect.stringMatching(/^SLUICE_JWT_PREVIOUS_SECRETS must/)])
    expect(mistakesOf(previous(STRONG, randomBytes(48).toString('base64')))).toEqual([])
    const { identity } = loadConfig(previous(STRONG), { mode: 'start' })
    expect(identity.jwtPreviousSecrets).toEqual([STRONG])
  })

  test('accepts what generators of secrets make', () => {
    for (let i = 0; i < 200; i++) {
      for (const encoding of ['hex', 'base64', 'base64url'] as const) {
        const secret = randomBytes(32).toString(encoding)
        expect(mistakesOf(production({ SLUICE_JWT_SECRET: secret })), secret).toEqual([])
      }
      expect(mistakesOf(production({ SLUICE_JWT_SECRET: randomBytes(16).toString('hex') }))).toEqual([])
    }
  })

  test('does not start with an administrator whose password is weak (B2)', () => {
    const mistakes = mistakesOf(production({ SLUICE_ADMIN_PASSWORD: 'admin' }))
    expect(mistakes).toEqual([expect.stringMatching(/at least 8/), expect.stringMatching(/at least three of/)])
    expect(mistakesOf(production({ SLUICE_ADMIN_PASSWORD: 'Adm1n-Adm1n' }))).toEqual([])
  })

  test.each([
    ['postgres://u:p@db.example/sluice', false],
    ['postgres://u:p@db.example/sluice?sslmode=require', false],
    ['postgres://u:p@db.example/sluice?sslmode=verify-full', true],
    ['postgres://u:p@db.example/sluice?sslmode=verify-full&sslmode=disable', false],
    ['postgres://u:p@localhost/sluice?host=10.0.0.7', false],
    ['postgres://u:p@127.0.0.1.example/sluice', false],
    ['postgres://u:p@127.0.0.1:5433/sluice', true],
    ['postgres://u:p@[::1]/sluice', true],
    ['postgres:///sluice?host=/run/postgresql', true],
    ['postgres://u:p@%2Frun%2Fpostgresql/sluice', true],
  ])('reaches PostgreSQL at %s: %s (D6)', (DATABASE_URL, accepted) => {
    expect(mistakesOf(production({ DATABASE_URL }))).toHaveLength(accepted ? 0 : 1)
    expect(mistakesOf({ DATABASE_URL })).toEqual([])
  })

  test('asks for TLS to Redis and at the public address, unless they are on this machine (D6, B15)', () => {
    expect(
      mistakesOf(production({ REDIS_URL: 'redis://cache.example', SLUICE_PUBLIC_URL: 'http://sluice.example' })),
    ).toHaveLength(2)
    expect(mistakesOf(production({ REDIS_URL: 'rediss://cache.example', SLUICE_PUBLIC_URL: 'https://sluice.example' }))).toEqual(
      [],
    )
    expect(mistakesOf(production({ REDIS_URL: 'rediss://cache.example?tls=false' }))).toHaveLength(1)
    expect(mistakesOf(production({ REDIS_URL: 'redis://localhost', SLUICE_PUBLIC_URL: 'http://127.0.0.1:4000' }))).toEqual([])
  })
})

test('a worker or an API alone needs a database of its own address, in production Redis too; both in one process need neither (E5)', () => {
  for (const mode of ['work', 'serve'] as const) {
    expect(mistakesOf({}, mode)).toEqual([expect.stringMatching(/^DATABASE_URL must be set/)])
    const fleet = production({ DATABASE_URL: 'postgres://u:p@localhost/sluice' })
    expect(mistakesOf(fleet, mode)).toEqual([expect.stringMatching(/^REDIS_URL must be set/)])
    expect(mistakesOf({ ...fleet, REDIS_URL: 'redis://localhost' }, mode)).toEqual([])
    expect(mistakesOf({ ...fleet, NODE_ENV: '' }, mode)).toEqual([])
  }
  expect(mistakesOf(production(), 'start')).toEqual([])
  const remote = {
    NODE_ENV: 'production',
    DATABASE_URL: 'postgres://u:p@localhost/sluice',
    SLUICE_AUDIT_KEY: STRONG,
    SLUICE_SECRETS_KEY: STRONG,
  }
  expect(mistakesOf(remote, 'work')).toEqual([expect.stringMatching(/^REDIS_URL must be set/)])
  const whole = { ...remote, REDIS_URL: 'redis://localhost' }
  expect(mistakesOf(whole, 'work')).toEqual([])
  expect(mistakesOf({ ...whole, SLUICE_AUDIT_KEY: '', SLUICE_SECRETS_KEY: '' }, 'work').toSorted()).toEqual([
    expect.stringMatching(/^SLUICE_AUDIT_KEY must be set/),
    expect.stringMatching(/^SLUICE_SECRETS_KEY must be set/),
  ])
  expect(mistakesOf({ ...whole, SLUICE_AUDIT_KEY: '', SLUICE_SECRETS_KEY: STRONG }, 'work')).toEqual([])
})

describe('a URL of Redis', () => {
  test.each<[url: string, address: Partial<RedisAddress>]>([
    ['redis://cache', { kind: 'one', tls: false, places: [{ host: 'cache', port: 6379 }], db: 0 }],
    [
      'rediss://me:p%40ss@[::1]:7000/2?family=6',
      { tls: true, username: 'me', password: 'p@ss', places: [{ host: '::1', port: 7000 }], db: 2 },
    ],
    ['redis://:a:b@ss@cache', { username: '', password: 'a:b@ss' }],
    [
      'redis://a:7000,b,[::1]:7002',
      {
        kind: 'cluster',
        places: [
          { host: 'a', port: 7000 },
          { host: 'b', port: 6379 },
          { host: '::1', port: 7002 },
        ],
      },
    ],
    ['rediss://me:p%2Css@a,b/0', { kind: 'cluster', tls: true, username: 'me', password: 'p,ss' }],
    [
      'redis+sentinel://one/my%20master',
      { kind: 'sentinel', tls: false, places: [{ host: 'one', port: 26_379 }], master: 'my master', db: 0 },
    ],
    [
      'rediss+sentinel://me:secret@one:1,two:2/mymaster/3?sentinel_username=you&sentinel_password=a%26b',
      {
        kind: 'sentinel',
        tls: true,
        places: [
          { host: 'one', port: 1 },
          { host: 'two', port: 2 },
        ],
        username: 'me',
        password: 'secret',
        master: 'mymaster',
        db: 3,
        sentinelUsername: 'you',
        sentinelPassword: 'a&b',
      },
    ],
  ])('is read: %s', (url, address) => {
    expect(readRedisUrl(url)).toMatchObject({ address, mistakes: [] })
  })

  test.each([
    ['http://hunter', /^must begin with/],
    // the driver would speak no TLS
    ['REDISS://hunter', /^must begin with/],
    ['redis://u:hunter#2@cache', /^must begin with .* no #/],
    ['redis://', /^must name hosts/],
    ['redis://u:hunter/2@cache', /^must name hosts/],
    ['redis://a:70000', /^must name hosts/],
    ['redis://a,,b', /^must name hosts/],
    ['redis+sentinel://u:12/hunter@one/0', /^must name hosts/],
    ['redis://u:hunter@a:1,u:hunter@b:1', /^must have user and password once/],
    ['redis://u:hunter%@a', /^has a %/],
    ['redis://a/hunter', /^must end with the number/],
    ['redis://a/1/2', /^must end with the number/],
    ['redis://a,b/1', /^must not name a database/],
    ['redis://a,b?family=6', /^may have no parameters$/],
    ['redis+sentinel://a,b', /^must name the master/],
    ['redis+sentinel://a,b/mymaster/hunter', /^must end with the number/],
    ['redis+sentinel://a,b/mymaster?sentinelPassword=hunter', /^may have no parameters but/],
  ])('is refused: %s', (url, why) => {
    const { address, mistakes } = readRedisUrl(url)
    expect(address).toBeUndefined()
    expect(mistakes[0]).toMatch(why)
    expect(mistakes.join()).not.toContain('hunter')
    expect(() => redisAddress(url)).toThrow(mistakes[0])
  })

  test('has all of its mistakes told at once, and is shown without who comes in by it (B13, C6)', () => {
    const REDIS_URL = 'redis+sentinel://u:hunter@a:x,b//hunter?sentinelPassword=hunter'
    expect(mistakesOf({ REDIS_URL, SLUICE_AGENTS_REDIS_URL: 'redis://a,b/1' })).toEqual([
      expect.stringMatching(/^REDIS_URL must name hosts as host:port/),
      expect.stringMatching(/^REDIS_URL must name the master/),
      expect.stringMatching(/^REDIS_URL must end with the number/),
      expect.stringMatching(/^REDIS_URL may have no parameters but/),
      expect.stringMatching(/^SLUICE_AGENTS_REDIS_URL must not name a database/),
    ])
    const env = { REDIS_URL: 'redis+sentinel://u:hunt/er@a' }
    expect(mistakesOf(env).join()).not.toContain('hunt')
    const right = {
      REDIS_URL: 'rediss+sentinel://u:hunter@a:1,b/mymaster?sentinel_password=hunter',
      SLUICE_AGENTS_REDIS_URL_FILE: secretFile('redis://:hunter@a,b'),
    }
    const shown = showConfig(loadConfig(right, { mode: 'start' }), right, false)
    expect(shown).toContain('  REDIS_URL = rediss+sentinel://***@a:1,b/mymaster\n')
    expect(shown).toContain('  SLUICE_AGENTS_REDIS_URL = redis://***@a,b (SLUICE_AGENTS_REDIS_URL_FILE)\n')
  })

  test.each([
    ['redis://localhost,127.0.0.1:7001,[::1]:7002', true],
    ['redis://localhost,cache.example', false],
    ['rediss://one.example,two.example', true],
    // they may name a master that is not here
    ['redis+sentinel://localhost/mymaster', false],
    ['rediss+sentinel://one.example,two.example/mymaster', true],
  ])('in production: %s, %s (D6)', (REDIS_URL, accepted) => {
    expect(mistakesOf(production({ REDIS_URL }))).toHaveLength(accepted ? 0 : 1)
  })
})

test('what is configured can be shown, without what is secret (C6)', () => {
  const path = secretFile(STRONG)
  const password = 'hunter2'
  const env = {
    ...{ PORT: '4100', SLUICE_AGENT_ROLES: 'ceo, cto', DATABASE_URL: `postgres://u:${password}@db/x` },
    ...{ SLUICE_JWT_SECRET_FILE: path, SLUICE_RETAIN_FLOWS_DAYS: '7-30', SLUICE_LEASE_MS: '' },
  }
  const shown = showConfig(loadConfig(env, { mode: 'start' }), env, false)
  const lines = ['PORT = 4100', 'DATABASE_URL is set', 'SLUICE_JWT_SECRET is set (SLUICE_JWT_SECRET_FILE)']
  for (const line of [...lines, 'SLUICE_AGENT_ROLES = ceo,cto', 'SLUICE_RETAIN_FLOWS_DAYS = 7-30'])
    expect(shown).toContain(`  ${line}\n`)
  expect(shown).not.toMatch(/hunter2|SLUICE_LEASE_MS/)
  expect(shown).not.toContain(STRONG)
  const all = showConfig(loadConfig(env, { mode: 'start' }), env, true)
  expect(all).toContain('  SLUICE_LEASE_MS = 10000 (default)\n')
  expect(all).toContain('  REDIS_URL = unset (default)\n')
})

describe('a secret from a file (B13)', () => {
  test('is read without its last line end', () => {
    const config = loadConfig(
      { SLUICE_JWT_SECRET_FILE: secretFile(`${STRONG}\n`), DATABASE_URL_FILE: secretFile('postgres:///x') },
      { mode: 'start' },
    )
    expect(config.identity.jwtSecret).toBe(STRONG)
    expect(config.database.url).toBe('postgres:///x')
  })

  test.each([0o644, 0o606, 0o604, 0o666, 0o601])('is refused when others can use the file (mode %i)', (mode) => {
    expect(mistakesOf(production({ SLUICE_JWT_SECRET: undefined, SLUICE_JWT_SECRET_FILE: secretFile(STRONG, mode) }))).toEqual([
      expect.stringMatching(/^SLUICE_JWT_SECRET_FILE names .* can be used by others; run `chmod o-rwx`/),
    ])
  })

  test('may be read by the group, as orchestrators hand them out', () => {
    expect(mistakesOf({ SLUICE_JWT_SECRET_FILE: secretFile(STRONG, 0o640) })).toEqual([])
  })

  test('is refused when the file is missing, empty, a directory or far too large', () => {
    const wrong = [join(directory, 'nowhere'), secretFile('\n'), directory, secretFile('x'.repeat(70_000))]
    chmodSync(directory, 0o700)
    for (const path of wrong) expect(mistakesOf({ SLUICE_JWT_SECRET_FILE: path }), path).toHaveLength(1)
  })

  test('is refused when the variable is set as well', () => {
    const both = { SLUICE_JWT_SECRET: STRONG, SLUICE_JWT_SECRET_FILE: secretFile(STRONG) }
    expect(mistakesOf(both)).toEqual(['SLUICE_JWT_SECRET and SLUICE_JWT_SECRET_FILE are both set; unset one of them'])
  })

  test('is held to the same rules', () => {
    const weak = production({ SLUICE_JWT_SECRET: undefined, SLUICE_JWT_SECRET_FILE: secretFile('weak') })
    expect(mistakesOf(weak)).toEqual([expect.stringMatching(/^SLUICE_JWT_SECRET must have at least 32 bytes/)])
  })
})

test('docs/configuration.md says what the program reads (update it with `vitest -u`)', async () => {
  await expect(describeConfig()).toMatchFileSnapshot('../docs/configuration.md')
})
