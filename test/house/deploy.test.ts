/** `Dockerfile`, `compose.yaml` and `deploy/`: what can be known of them without a container. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { COMMANDS } from '../../src/commands/commands.ts'
import type { Environment, Mode } from '../../src/config/config.ts'
import { loadConfig } from '../../src/config/config.ts'
import type { Setting } from '../../src/config/setting.ts'
import { SETTINGS } from '../../src/config/settings.ts'
import { parse } from 'yaml'
import { read, ROOT } from './source-files.ts'

interface Service {
  image: string
  build?: string
  command?: string[]
  environment?: Record<string, string>
  read_only?: boolean
  cap_drop?: string[]
  security_opt?: string[]
  user?: string
  init?: boolean
  restart?: string
  tmpfs?: string[]
  volumes?: string[]
}

const { services } = parse(read('compose.yaml'), { merge: true }) as { services: Record<string, Service> }
const OURS = Object.entries(services).filter(([, { build }]) => build !== undefined)
const DOCKERFILE = read('Dockerfile')
const SCRIPT = read('deploy/secrets.sh')
const directory = mkdtempSync(join(tmpdir(), 'sluice-deploy-'))
afterAll(() => rmSync(directory, { recursive: true }))

const SETTING_NAMES = Object.values(SETTINGS).flatMap((group) =>
  Object.values<Setting<unknown>>(group).flatMap(({ name, secret }) => (secret ? [name, `${name}_FILE`] : [name])),
)
/** of the image, for every process */
const IMAGE = Object.fromEntries(
  [...DOCKERFILE.matchAll(/^ENV (.*)$/gm)].flatMap(([, line]) => line!.split(' ').map((one) => one.split('='))),
) as Record<string, string>

/** What `deploy/secrets.sh` writes there, with something in place of what it makes by chance. */
function secretOf(path: string): string {
  const name = path.replace('/run/secrets/', '')
  expect(SCRIPT).toMatch(new RegExp(`(>|for name in [a-z_ ]*)\\b${name}\\b`))
  const text = new RegExp(`echo "([^"]*)" >${name}$`, 'm').exec(SCRIPT)?.[1] ?? '$(chance)'
  const filled = text
    .replace('$scheme', 'postgres')
    .replace('$postgres', 'postgres:5432')
    .replace('$redis/', 'redis:6379')
    .replace(/@\$redis$/, '@redis:6379')
  const file = join(directory, name)
  writeFileSync(file, filled.replace(/\$\([^)]*\)|\$\w+/g, 'pZ4vN8q1Kx7Wd3Rt6Yb0Hs5Lm9Gc2Jf4Qa8Ue1Oi7'), { mode: 0o440 })
  return file
}

test('every process of compose.yaml would start in production with what it is given (B13, D6)', () => {
  expect(OURS.map(([name]) => name)).toEqual(['migrate', 'api', 'worker'])
  for (const [name, { command = [], environment = {} }] of OURS) {
    expect(Object.keys(COMMANDS)).toContain(command[0])
    const settings = { ...IMAGE, ...environment }
    const known = [...SETTING_NAMES, 'NODE_EXTRA_CA_CERTS']
    expect(Object.keys(settings).filter((one) => !known.includes(one))).toEqual([])
    const given = Object.entries(settings).map(([key, value]) => [key, key.endsWith('_FILE') ? secretOf(value) : value])
    const config = loadConfig(Object.fromEntries(given) as Environment, { mode: command[0] as Mode })
    expect([name, config.nodeEnv, config.server.host]).toEqual([name, 'production', '0.0.0.0'])
    expect(config.database.url).toContain('@postgres:5432/sluice?sslmode=verify-full')
    expect(config.fleet.redisUrl).toMatch(/^rediss:.*@redis:6379$/)
  }
})

test('every container has a read-only root, no capability that it does not need, and is not root (D1)', () => {
  for (const [name, service] of Object.entries(services)) {
    expect([name, service.read_only, service.cap_drop]).toEqual([name, true, ['ALL']])
    expect(service.security_opt).toEqual(['no-new-privileges:true'])
    if (service.build) expect(service.init).toBe(true)
    else if (name !== 'secrets') expect(service.user).toMatch(/^(postgres|10002:10002)$/)
  }
  expect(DOCKERFILE).toMatch(/^USER sluice$/m)
  expect(DOCKERFILE.indexOf('USER sluice')).toBeGreaterThan(DOCKERFILE.lastIndexOf('RUN '))
  // a worker that may change tables would be one more to do so
  expect(OURS.filter(([, { environment = {} }]) => 'DATABASE_OWNER_URL_FILE' in environment).map(([name]) => name)).toEqual([
    'migrate',
  ])
})

test('what the image copies and calls is there, and nothing else is sent to its builder', () => {
  const copied = [...DOCKERFILE.matchAll(/^COPY (?!--from)(.*) \S+$/gm)].flatMap(([, paths]) => paths!.split(' '))
  const sent = read('.dockerignore')
    .split('\n')
    .flatMap((line) => (line.startsWith('!') ? [line.slice(1)] : []))
  expect(new Set(copied)).toEqual(new Set(sent))
  const mounted = Object.values(services).flatMap(({ volumes = [] }) =>
    volumes.flatMap((one) => /^\.\/([^:]+):/.exec(one)?.[1] ?? []),
  )
  for (const path of [...copied, ...mounted]) expect(existsSync(join(ROOT, path))).toBe(true)
  const [, start] = /^ENTRYPOINT (.*)$/m.exec(DOCKERFILE)!
  expect(JSON.parse(start!)).toEqual(['/app/node_modules/.bin/node', '--max-semi-space-size=8', '/app/src/main.ts'])
  const [, check] = /^HEALTHCHECK .* CMD (.*)$/m.exec(DOCKERFILE)!
  expect((JSON.parse(check!) as string[]).slice(1)).toEqual(['/app/src/main.ts', 'health'])
})
