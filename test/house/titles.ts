/** The titles of tests, and the requirements that they say they prove. */
import { filesUnder, syntaxOf } from './source-files.ts'
import type { SyntaxNode } from './source-files.ts'

/** Ids of requirements in a title: `... (A5, D9)` -> ['A5', 'D9']. */
const IDS = /\(([A-E]\d{1,2}(?:, [A-E]\d{1,2})*)\)/g

/** The titles of a file's `test`, `it` and `describe` calls, also of `test.each(...)(...)`. */
function titlesOf(path: string): string[] {
  const titles: string[] = []
  for (const node of syntaxOf(path)) {
    if (node.type !== 'CallExpression' || !/^(test|it|describe)$/.test(rootName(node['callee']))) continue
    const [first] = node['arguments'] as SyntaxNode[]
    if (typeof first?.['value'] === 'string') titles.push(first['value'])
    else if (first?.type === 'TemplateLiteral') titles.push(textOf(first))
  }
  return titles
}

/** `test.each([...])` -> 'test' */
function rootName(callee: unknown): string {
  const node = callee as SyntaxNode
  if (node.type === 'Identifier') return node['name'] as string
  return rootName(node['object'] ?? node['callee'] ?? { type: 'Identifier', name: '' })
}

const textOf = (template: SyntaxNode): string =>
  (template['quasis'] as { value: { raw: string } }[]).map(({ value }) => value.raw).join('…')

/** Requirement id -> the test files with a title that carries it, sorted. */
export function provenBy(): Map<string, string[]> {
  const found = new Map<string, Set<string>>()
  for (const path of filesUnder('test', /\.(test|faults|contract)\.ts$/)) {
    const ids = titlesOf(path).flatMap((title) => [...title.matchAll(IDS)].flatMap(([, list]) => list!.split(', ')))
    for (const id of ids) found.set(id, (found.get(id) ?? new Set()).add(path))
  }
  return new Map([...found].map(([id, paths]) => [id, [...paths].sort()]))
}
