/** What the project is made of: the lockfile as a machine would tamper with it, and secrets that must not be committed. */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { ROOT, read } from './source-files.ts'

interface Locked {
  readonly version?: string
  readonly resolved?: string
  readonly integrity?: string
  readonly link?: boolean
  readonly dev?: boolean
  readonly optional?: boolean
  readonly os?: string[]
  readonly hasInstallScript?: boolean
  readonly license?: string
}
interface Root extends Locked {
  readonly dependencies: Record<string, string>
  readonly devDependencies: Record<string, string>
  readonly optionalDependencies: Record<string, string>
}
interface Manifest extends Root {
  readonly overrides: Record<string, string>
  readonly allowScripts: Record<string, boolean>
}
interface Lockfile {
  readonly lockfileVersion: number
  readonly packages: Record<string, Locked>
}

const EXACT = /^\d+\.\d+\.\d+(-[\w.]+)?$/
/** Of what is handed on with the server. */
const LICENCES =
  /^(MIT(-0)?|CC0-1\.0|ISC|BSD-[23]-Clause|0BSD|Apache-2\.0|BlueOak-1\.0\.0|\(MIT OR [\w.-]+\)|Unlicense|PostgreSQL)$/

/** What is wrong with a lockfile, each as `package: what`. */
function lint(lock: Lockfile, manifest: Manifest): string[] {
  const { '': root, ...packages } = lock.packages
  const found = lock.lockfileVersion === 3 ? [] : ['the lockfile is not of version 3']
  for (const kind of ['dependencies', 'devDependencies', 'optionalDependencies'] as const) {
    if (JSON.stringify((root as Root)[kind]) !== JSON.stringify(manifest[kind]))
      found.push(`package.json: ${kind} are not those locked`)
  }
  for (const [path, locked] of Object.entries(packages)) {
    const say = (what: string): number => found.push(`${path.replace(/^.*node_modules\//, '')}: ${what}`)
    if (!path.startsWith('node_modules/') || locked.link) say('comes from this machine')
    if (!EXACT.test(locked.version ?? '')) say('has no exact version')
    if (locked.resolved !== undefined) say('names where it comes from: git, another host, or the registry of one machine')
    // npm writes none for a package that it did not fetch: one for another platform
    const elsewhere = locked.optional === true && locked.os !== undefined
    if (!/^sha512-[\w+/]{86}==$/.test(locked.integrity ?? '') && !(elsewhere && locked.integrity === undefined))
      say('has no integrity')
    const name = path.replace(/^.*node_modules\//, '')
    if (locked.hasInstallScript && manifest.allowScripts[name] === undefined) say('runs a script when it is installed')
    if (!locked.dev && !LICENCES.test(locked.license ?? '')) say(`has the licence ${locked.license}`)
  }
  return found
}

const manifest = JSON.parse(read('package.json')) as Manifest
const lockfile = JSON.parse(read('package-lock.json')) as Lockfile

test('the lockfile holds exact versions with their hashes, from the registry alone, with no script that nobody judged (B16)', () => {
  expect(Object.keys(lockfile.packages).length).toBeGreaterThan(300)
  expect(lint(lockfile, manifest)).toEqual([])
})

test.each<[string, string, Locked, string]>([
  ['another host', 'node_modules/pino', { resolved: 'https://evil.example/pino.tgz' }, 'names where it comes from'],
  ['git', 'node_modules/pino', { resolved: 'git+ssh://git@github.com/x/pino.git#abc' }, 'names where it comes from'],
  ['plain http', 'node_modules/pino', { resolved: 'http://registry.npmjs.org/pino/-/pino.tgz' }, 'names where it comes from'],
  ['a directory', 'node_modules/pino', { link: true }, 'comes from this machine'],
  ['no hash', 'node_modules/pino', { integrity: '' }, 'has no integrity'],
  ['a weak hash', 'node_modules/pino', { integrity: 'sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=' }, 'has no integrity'],
  ['a script', 'node_modules/pino', { hasInstallScript: true }, 'runs a script'],
  ['a range', 'node_modules/pino', { version: '^10.0.0' }, 'has no exact version'],
  ['a licence', 'node_modules/pino', { license: 'AGPL-3.0' }, 'has the licence'],
])('a lockfile that was tampered with is found: %s (B16)', (_what, path, change, said) => {
  const packages = { ...lockfile.packages, [path]: { ...lockfile.packages[path], ...change } }
  expect(lint({ ...lockfile, packages }, manifest).join()).toContain(said)
})

test('a dependency that is in package.json only is found (B16)', () => {
  const dependencies = { ...manifest.dependencies, 'left-pad': '1.3.0' }
  expect(lint(lockfile, { ...manifest, dependencies })).toEqual(['package.json: dependencies are not those locked'])
})

test('SECURITY.md says how to report, what to include, when an answer comes, and which versions are supported (B17)', () => {
  const sections = [...read('SECURITY.md').matchAll(/^## (.+)\n([^]*?)(?=^## |$(?![^]))/gm)].map(([, title, text]) => [
    title,
    text,
  ])
  expect(Object.fromEntries(sections)).toMatchObject({
    'How to report': expect.stringContaining('/security/advisories/new'),
    'What to include': expect.stringMatching(/^- .*version/m),
    'When an answer comes': expect.stringContaining('48 hours'),
    'Supported versions': expect.stringContaining(manifest.version!.replace(/\d+$/, 'x')),
  })
})

/** Put together here, so that this file holds none. */
const FAKE_SECRETS: readonly (readonly [string, string])[] = [
  ['a token of GitHub', ['const token = "ghp', '_0123456789abcdefghijABCDEFGHIJ012345"'].join('')],
  [
    'a private key',
    ['-----BEGIN RSA PRIVATE', ` KEY-----\n${'MIIEpAIBAAKCAQEA'.repeat(8)}\n-----END RSA PRIVATE`, ' KEY-----'].join(''),
  ],
  ['a key of Sluice', ['slk', '_0123456789abcdefghijklmnopqrst'].join('')],
  ['a signed token', ['eyJhbGciOiJIUzI1NiJ9', 'eyJzdWIiOiJ1c2VyIn0', '0123456789abcdefghijABCDEFGHIJ'].join('.')],
  ['a signing secret', ['SLUICE_JWT_', 'SECRET=Zk3v9QpLr8sTn1xWc5yB'].join('')],
  ['a password in a URL', ['postgres://sluice', ':Zk3v9QpLr8sT@db.example.com/sluice'].join('')],
]

/** A repository with our hook, made by `npm run setup:hooks`. */
function repository() {
  const directory = mkdtempSync(join(tmpdir(), 'sluice-hook-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  const run = (program: string, ...args: string[]): { status: number | null; said: string } => {
    const env = { PATH: process.env['PATH'], HOME: directory, GIT_CONFIG_NOSYSTEM: '1' }
    const { status, stdout, stderr } = spawnSync(program, args, { cwd: directory, env, encoding: 'utf8' })
    return { status, said: `${stdout}${stderr}` }
  }
  const git = (...args: string[]) => run('git', '-c', 'user.name=Test', '-c', 'user.email=test@example.com', ...args)
  for (const path of [
    '.githooks',
    '.secretlintrc.json',
    '.secretlintignore',
    'scripts/check-staged.ts',
    'scripts/setup-hooks.ts',
  ])
    cpSync(join(ROOT, path), join(directory, path), { recursive: true })
  symlinkSync(join(ROOT, 'node_modules'), join(directory, 'node_modules'))
  writeFileSync(join(directory, '.gitignore'), 'node_modules\n')
  git('init', '--quiet')
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(directory, path)), { recursive: true })
    writeFileSync(join(directory, path), text)
  }
  return { git, write, setUp: () => run(process.execPath, 'scripts/setup-hooks.ts') }
}

describe('the hook', () => {
  test('lets a clean commit through, and refuses each kind of secret, without showing it (B12)', { timeout: 60_000 }, () => {
    const { git, write, setUp } = repository()
    expect(setUp()).toMatchObject({ status: 0 })
    git('add', '.')
    expect(git('commit', '-m', 'clean')).toMatchObject({ status: 0 })
    for (const [what, secret] of FAKE_SECRETS) {
      write('src/planted.ts', `${secret}\n`)
      git('add', '.')
      const { status, said } = git('commit', '-m', 'planted')
      expect(status, `${what}: ${said}`).toBe(1)
      expect(said).toContain('This looks like a secret')
      expect(said).not.toContain(secret)
    }
    expect(git('log', '--oneline').said.trim().split('\n')).toHaveLength(1)
  })

  test('judges what is staged: a secret that was taken out of the file only is found, one that is not staged is not (B12)', () => {
    const { git, write, setUp } = repository()
    setUp()
    const [, secret] = FAKE_SECRETS[0]!
    write('.env', secret)
    git('add', '.')
    write('.env', 'nothing')
    expect(git('commit', '-m', 'staged')).toMatchObject({ status: 1 })
    git('add', '.')
    write('.env', secret)
    expect(git('commit', '-m', 'not staged')).toMatchObject({ status: 0 })
  })

  test('leaves hooks that are there already, and says what to do', () => {
    const { write, setUp } = repository()
    write('.git/hooks/pre-commit', '#!/bin/sh\n')
    expect(setUp()).toMatchObject({ status: 1, said: expect.stringContaining('call') })
  })
})
