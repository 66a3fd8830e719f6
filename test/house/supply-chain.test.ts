/** What the project is made of: the lockfile as a machine would tamper with it. */
import { expect, test } from 'vitest'
import { read } from './source-files.ts'

interface Locked {
  readonly version?: string
  readonly resolved?: string
  readonly integrity?: string
  readonly link?: boolean
  readonly dev?: boolean
  readonly optional?: boolean
  readonly os?: string[]
  readonly license?: string
}
interface Root extends Locked {
  readonly dependencies: Record<string, string>
  readonly devDependencies: Record<string, string>
  readonly optionalDependencies: Record<string, string>
}
interface Manifest extends Root {
  readonly overrides: Record<string, string>
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
    if (!locked.dev && !LICENCES.test(locked.license ?? '')) say(`has the licence ${locked.license}`)
  }
  return found
}

const manifest = JSON.parse(read('package.json')) as Manifest
const lockfile = JSON.parse(read('package-lock.json')) as Lockfile

test('the lockfile holds exact versions with their hashes, from the registry alone, and none of it runs a script while it is installed (B16)', () => {
  expect(Object.keys(lockfile.packages).length).toBeGreaterThan(300)
  expect(lint(lockfile, manifest)).toEqual([])
  expect(read('.npmrc')).toContain('\nignore-scripts=true\n')
})

test.each<[string, string, Locked, string]>([
  ['another host', 'node_modules/pino', { resolved: 'https://evil.example/pino.tgz' }, 'names where it comes from'],
  ['git', 'node_modules/pino', { resolved: 'git+ssh://git@github.com/x/pino.git#abc' }, 'names where it comes from'],
  ['plain http', 'node_modules/pino', { resolved: 'http://registry.npmjs.org/pino/-/pino.tgz' }, 'names where it comes from'],
  ['a directory', 'node_modules/pino', { link: true }, 'comes from this machine'],
  ['no hash', 'node_modules/pino', { integrity: '' }, 'has no integrity'],
  ['a weak hash', 'node_modules/pino', { integrity: 'sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=' }, 'has no integrity'],
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
