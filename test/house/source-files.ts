/** The project's files as the house tests see them: paths from the root, text, syntax. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseSync } from 'oxc-parser'

export const ROOT = fileURLToPath(new URL('../..', import.meta.url))
/** What is made by tools and is not ours to read. */
const SKIPPED = new Set(['node_modules', '.git', '.sluice', 'coverage', 'dist', 'generated'])

/** All files below a directory (or the root) whose path matches, sorted: `src/engine/commit.ts`. */
export function filesUnder(directory: string, matching = /./): string[] {
  const found: string[] = []
  for (const entry of readdirSync(join(ROOT, directory), { withFileTypes: true })) {
    const path = directory === '' ? entry.name : `${directory}/${entry.name}`
    if (entry.isDirectory() && !SKIPPED.has(entry.name)) found.push(...filesUnder(path, matching))
    else if (entry.isFile() && matching.test(path)) found.push(path)
  }
  return found.sort()
}

export const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8')

export interface SyntaxNode {
  readonly type: string
  readonly start: number
  readonly [key: string]: unknown
}

/** Every node of a file's syntax, parents before children. Throws on a file that does not parse. */
export function* syntaxOf(path: string, text = read(path)): Generator<SyntaxNode> {
  const { program, errors } = parseSync(path, text)
  if (errors.length > 0) throw new Error(`${path} cannot be parsed: ${errors[0]!.message}`)
  yield* nodesIn(program)
}

function* nodesIn(value: unknown): Generator<SyntaxNode> {
  if (Array.isArray(value)) for (const item of value) yield* nodesIn(item)
  else if (typeof value === 'object' && value !== null) {
    if ('type' in value && 'start' in value) yield value as SyntaxNode
    for (const child of Object.values(value)) yield* nodesIn(child)
  }
}

export interface Import {
  /** `src/api/flow.ts:12`, and the line itself */
  readonly place: string
  readonly line: string
  /** a path from the root for files of ours, else the package: `src/errors.ts`, `node:fs/promises`, `@pothos/core` */
  readonly target: string
}

const REFERENCES = new Set([
  'ImportDeclaration',
  'ExportNamedDeclaration',
  'ExportAllDeclaration',
  'ImportExpression',
  'TSImportType',
])

/** All that a file imports, in whatever way: also types, re-exports, `import()`, and files named by `new URL('...', import.meta.url)`. */
export function importsOf(path: string, text = read(path)): Import[] {
  const imports: Import[] = []
  for (const node of syntaxOf(path, text)) {
    const specifier = REFERENCES.has(node.type) ? literal(node['source']) : fileUrl(node)
    if (specifier === undefined) continue
    const number = text.slice(0, node.start).split('\n').length
    const line = text.split('\n')[number - 1]!.trim()
    imports.push({ place: `${path}:${number}`, line, target: targetOf(path, specifier) })
  }
  return imports
}

const literal = (node: unknown): string | undefined => {
  const { value } = (node ?? {}) as { value?: unknown }
  return typeof value === 'string' ? value : undefined
}

function fileUrl(node: SyntaxNode): string | undefined {
  if (node.type !== 'NewExpression' || (node['callee'] as { name?: string }).name !== 'URL') return undefined
  const [first, second] = node['arguments'] as SyntaxNode[]
  return second?.type === 'MemberExpression' ? literal(first) : undefined
}

const targetOf = (path: string, specifier: string): string =>
  specifier.startsWith('.') ? relative(ROOT, resolve(ROOT, dirname(path), specifier)) : specifier
