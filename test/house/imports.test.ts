/** The stairs: which room may know which, what a pure room may touch, and who may know which library. */
import { expect, test } from 'vitest'
import { filesUnder, importsOf, read, syntaxOf } from './source-files.ts'
import type { Import, SyntaxNode } from './source-files.ts'

/** From the ground up. What is in one room may know itself; rooms on one stair do not know each other. */
const STAIRS: readonly (readonly string[][])[] = [
  [['masking/']],
  [
    ['canonical-json.ts'],
    ['storable-text.ts'],
    ['errors.ts'],
    ['ids.ts'],
    ['release.ts'],
    ['tracing.ts'],
    ['log.ts', 'log-error.ts', 'log-fields.ts', 'log-output.ts', 'log-text.ts', 'sql-states.ts', 'trouble.ts'],
    ['config/config-types.ts'],
  ],
  [['loop.ts'], ['database/'], ['outbound/'], ['language/']],
  [['audit/'], ['fleet/']],
  [['engine/'], ['identity/']],
  [['simulation/'], ['triggers/']],
  [['live/'], ['operations/']],
  [['api/']],
  [['server/']],
  [['app/', 'commands/', 'config/', 'watch/', 'drill/', 'main.ts']],
]
const TOP = STAIRS.length - 1

/** No clock, no chance, no I/O: what these rooms need to know comes in as data. */
const PURE = [
  'src/masking/',
  'src/language/',
  'src/engine/decide/',
  'src/engine/steps/',
  'src/simulation/',
  'src/watch/draw/',
  'src/drill/draw/',
]
/** What they may import at run time, besides themselves. */
const PURE_NEEDS = new Set([
  'clients/agent/redis-address.ts',
  'src/errors.ts',
  'src/ids.ts', // encoding; making new ones is chance: see IMPURE
  'src/engine/states.ts',
  'src/engine/in-flight.ts',
  'src/engine/new-snapshot.ts',
  'src/engine/execution-mask.ts', // pure itself, and used by those who read
  'src/canonical-json.ts',
  'src/storable-text.ts',
  '@marcbachmann/cel-js',
  'ajv-formats/dist/formats.js',
  'croner', // what comes after a moment; its timers are for functions, and it is given none
  'fastest-levenshtein',
  'lru-cache',
  'node:crypto', // createHash alone: see IMPURE
  'libpg-query',
  're2js',
  'zod',
])
const IMPURE = new Set([
  ...['Date.now', 'Math.random', 'process', 'performance', 'fetch', 'console', 'crypto'],
  ...['setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask'],
  ...['randomUUID', 'randomBytes', 'randomInt', 'getRandomValues', 'newUuid', 'newId'],
])

/** Libraries that only some rooms know, so that use cases know no GraphQL and no HTTP. */
const KNOWN_BY: readonly { packages: RegExp; rooms: RegExp }[] = [
  { packages: /^graphql$/, rooms: /^src\/(api|server)\// },
  { packages: /^(@pothos\/core|@pothos\/plugin-(?!complexity).*)$/, rooms: /^src\/api\// },
  { packages: /^(@pothos\/plugin-complexity)$/, rooms: /^src\/(api|server)\// },
  { packages: /^(graphql-yoga|graphql-ws.*|ws|@envelop\/.*|@escape\.tech\/.*|helmet)$/, rooms: /^src\/server\// },
  { packages: /^node:http$/, rooms: /^src\/(server\/|drill\/witness\.ts)/ },
  { packages: /^@opentelemetry\/.*$/, rooms: /^src\/tracing\.ts$/ },
  { packages: /^pg$/, rooms: /^src\/(database|fleet)\// },
  { packages: /^(ioredis|bullmq)$/, rooms: /^src\/fleet\// },
  { packages: /^(undici|nodemailer)$/, rooms: /^src\/outbound\// },
  { packages: /^node:child_process$/, rooms: /^src\/(database|engine\/handlers|drill)\// },
]

interface Place {
  stair: number
  room: readonly string[]
}

/** Where a file of `src/` stands; undefined when nobody gave it a stair. */
function placeOf(path: string): Place | undefined {
  for (const [stair, rooms] of STAIRS.entries()) {
    const room = rooms.find((names) =>
      names.some((name) => (name.endsWith('/') ? path.startsWith(`src/${name}`) : path === `src/${name}`)),
    )
    if (room) return { stair, room }
  }
  return undefined
}

/** Why a file must not import this; undefined when it may. */
function offence(path: string, { target }: Import): string | undefined {
  const from = placeOf(path)!
  if (!target.startsWith('src/'))
    return from.stair < TOP && /^(test|bench|migrations|examples|scripts)\//.test(target)
      ? 'only the top stair looks outside src/'
      : undefined
  const to = placeOf(target)
  if (to === undefined) return 'it has no stair'
  if (to.room === from.room || to.stair < from.stair) return undefined
  return to.stair === from.stair ? 'on the same stair' : 'on a higher stair'
}

const SOURCES = filesUnder('src', /\.ts$/)
const IMPORTS = new Map(SOURCES.map((path) => [path, importsOf(path)]))

function offences(why: (path: string, it: Import) => string | undefined, imports = IMPORTS): string[] {
  return [...imports].flatMap(([path, list]) =>
    list.flatMap((it) => {
      const reason = why(path, it)
      return reason ? [`${it.place}: ${it.line}  <- ${reason}`] : []
    }),
  )
}

test('every file of src stands on a stair', () => {
  expect(SOURCES.filter((path) => placeOf(path) === undefined)).toEqual([])
})

test('imports lead down the stairs, also those of types', () => {
  expect(offences(offence)).toEqual([])
})

test('an import that leads up or aside, in whatever way it is written, is found with its line', () => {
  const path = 'src/engine/example.ts'
  const lines = [
    "import type { Call } from '../operations/call.ts'",
    "export { signIn } from '../operations/sign-in.ts'",
    "const later = import('../api/schema.ts')",
    "type Server = typeof import('../server/server.ts')",
    "import { users } from '../identity/users.ts'",
    "const child = new URL('../app.ts', import.meta.url)",
    "import { migrations } from '../../migrations/list.ts'",
    "import { stray } from '../stray.ts'",
  ]
  const right = "import { Fault } from '../errors.ts'\nimport { claim } from './claim.ts'\nimport pg from 'pg'"
  const found = offences(offence, new Map([[path, importsOf(path, `${right}\n${lines.join('\n')}`)]]))
  expect(found).toHaveLength(lines.length)
  for (const [number, line] of lines.entries()) expect(found[number]).toContain(`${path}:${number + 4}: ${line}`)
})

/** Files that import each other, and those that stand on them: what is left when all that need nothing of the rest were taken away. */
function circles(imports: ReadonlyMap<string, readonly Import[]>): string[] {
  // a file that is started by its path is another process
  const imported = (list: readonly Import[]): string[] =>
    list.filter(({ line }) => !line.includes('new URL(')).map(({ target }) => target)
  let left = new Map([...imports].map(([path, list]) => [path, imported(list)]))
  for (let before = Infinity; left.size < before;) {
    before = left.size
    left = new Map([...left].filter(([path, targets]) => targets.some((target) => target !== path && left.has(target))))
  }
  return [...left.keys()]
}

test('no files import each other in a circle, not even for types', () => {
  expect(circles(IMPORTS)).toEqual([])
  const texts = {
    a: "import '../b.ts'",
    b: "import type { C } from './c/c.ts'",
    'c/c': "import '../a/a.ts'",
    'a/a': "import '../b.ts'",
  }
  const drawn = Object.entries(texts).map(([name, text]) => [`src/${name}.ts`, importsOf(`src/${name}.ts`, text)] as const)
  expect(circles(new Map(drawn))).toEqual(['src/b.ts', 'src/c/c.ts', 'src/a/a.ts'])
})

test('pure rooms import nothing that acts', () => {
  const pure = (path: string): boolean => PURE.some((room) => path.startsWith(room))
  const acts = (path: string, { target, line }: Import): string | undefined =>
    // types are gone when it runs
    !pure(path) || /^(import|export) type /.test(line) || pure(target) || PURE_NEEDS.has(target) ? undefined : 'not pure'
  expect(offences(acts)).toEqual([])
})

/** Names of the clock, of chance and of the outside in a text, each with its line. */
function impurities(path: string, text = read(path)): string[] {
  const found: string[] = []
  for (const node of syntaxOf(path, text)) {
    const name = node.type === 'MemberExpression' ? memberName(node) : node.type === 'Identifier' ? (node['name'] as string) : ''
    if (IMPURE.has(name)) found.push(`${path}:${text.slice(0, node.start).split('\n').length}: ${name}`)
    if (node.type === 'NewExpression' && isDate(node['callee']) && (node['arguments'] as []).length === 0)
      found.push(`${path}: new Date()`)
  }
  return found
}

const isDate = (callee: unknown): boolean => (callee as { name?: string }).name === 'Date'
const memberName = ({ object, property }: SyntaxNode): string =>
  `${(object as { name?: string }).name}.${(property as { name?: string }).name}`

test('pure rooms ask no clock, no chance and no process', () => {
  expect(SOURCES.filter((path) => PURE.some((room) => path.startsWith(room))).flatMap((path) => impurities(path))).toEqual([])
})

test('a look at the clock, at chance or at the environment is found', () => {
  const text =
    'const a = Date.now()\nconst b = Math.random()\nconst c = process.env.HOME\nsetTimeout(() => {}, 1)\nconst d = new Date()\n'
  expect(impurities('example.ts', text)).toHaveLength(5)
  expect(impurities('example.ts', 'const a = new Date(at)\nconst b = Date.parse(text)')).toEqual([])
})

test('only the rooms that need a library know it', () => {
  const known = (path: string, { target }: Import): string | undefined => {
    const rule = KNOWN_BY.find(({ packages }) => packages.test(target))
    return rule && !rule.rooms.test(path) ? `only ${rule.rooms.source} knows ${target}` : undefined
  }
  expect(offences(known)).toEqual([])
})

test('the environment is read by main.ts alone, and in handler processes, whose environment is their own', () => {
  const readers = SOURCES.filter((path) =>
    [...syntaxOf(path)].some((node) => node.type === 'MemberExpression' && memberName(node) === 'process.env'),
  )
  expect(readers.filter((path) => path !== 'src/main.ts' && !path.startsWith('src/engine/handlers/handler-child'))).toEqual([])
})

/** Where a text would become code: `eval`, `Function`, the module `vm`, a timer that is given a text. */
function evaluators(path: string, text = read(path)): string[] {
  // parsing every file once more would take seconds
  if (!/\b(eval|Function|vm)\b|\bset(Timeout|Interval)\(\s*['"`]/.test(text)) return []
  const found = importsOf(path, text).flatMap(({ place, target }) => (/^(node:)?vm$/.test(target) ? [place] : []))
  for (const node of syntaxOf(path, text)) {
    const { name } = (node['callee'] ?? {}) as { name?: string }
    const [first] = (node['arguments'] ?? []) as SyntaxNode[]
    const isTimed = /^set(Timeout|Interval)$/.test(name ?? '') && (literalOf(first) || first?.type === 'TemplateLiteral')
    if (name === 'eval' || name === 'Function' || isTimed) found.push(`${path}: ${name}`)
  }
  return found
}

const literalOf = (node: SyntaxNode | undefined): boolean => typeof node?.['value'] === 'string'

test('no file makes code of a text (C9)', () => {
  expect(SOURCES.flatMap((path) => evaluators(path))).toEqual([])
  const text = `import vm from 'node:vm'\neval('1')\nnew Function('a')\nFunction('a')\nsetTimeout('a', 1)\nsetTimeout(act, 1)\n`
  expect(evaluators('example.ts', text)).toHaveLength(5)
})

test('the package for pages imports nothing of the server and nothing of Node', () => {
  const imports = filesUnder('clients/feed', /\.ts$/).flatMap((path) => importsOf(path))
  expect(imports.length).toBeGreaterThan(20)
  expect(imports.filter(({ target }) => !/^(clients\/feed\/|(graphql-ws|react)$)/.test(target))).toEqual([])
})

test('the package for agents imports nothing of the server, and of others only the client of Redis', () => {
  const imports = filesUnder('clients/agent', /\.ts$/).flatMap((path) => importsOf(path))
  expect(imports.length).toBeGreaterThan(20)
  expect(imports.filter(({ target }) => !/^(clients\/(agent|feed)\/|node:|ioredis$)/.test(target))).toEqual([])
})

test('what an image runs needs no package that only development has (B16)', () => {
  const { dependencies } = JSON.parse(read('package.json')) as { dependencies: Record<string, string> }
  const beside = ['migrations', 'clients/feed', 'examples/flows', 'examples/handlers'].flatMap((room) =>
    filesUnder(room, /\.ts$/),
  )
  // React is brought by the pages that use it
  const all = new Map([
    ...IMPORTS,
    ...beside.filter((path) => !path.endsWith('/react.ts')).map((path) => [path, importsOf(path)] as const),
  ])
  const missing = (_path: string, { target, line }: Import): string | undefined => {
    const isFile = /^((src|migrations|clients|examples)\/|package\.json$)/.test(target)
    const [name = ''] = /^(@[^/]+\/)?[^/]+/.exec(target) ?? []
    // types are gone when it runs
    if (isFile || /^(import|export) type /.test(line) || target.startsWith('node:') || name in dependencies) return undefined
    return 'not installed by `npm ci --omit=dev`'
  }
  expect(offences(missing, all)).toEqual([])
})
