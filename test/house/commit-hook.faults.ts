/** Secrets must not be committed: the hook that refuses them. */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { ROOT } from './source-files.ts'

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

describe('the hook of commits', () => {
  test('lets a clean commit through, and refuses each kind of secret, without showing it (B12)', { timeout: 180_000 }, () => {
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
