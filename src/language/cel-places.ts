/** Which places an expression reads: `input.a.b`, `steps.x.output`, `execution.id`; a key that is computed is `*`, any of them. */
import { children } from './cel.ts'
import type { CelNode } from './cel.ts'

const ROOTS = new Set<unknown>(['input', 'steps', 'execution', 'item', 'last'])

export function placesRead(root: CelNode): string[][] {
  const places: string[][] = []
  const visit = (node: CelNode): void => {
    const place = placeOf(node, visit)
    if (place) places.push(place)
    else for (const child of children(node)) visit(child)
  }
  visit(root)
  return places
}

/** undefined when the node is no place; what computes its keys is visited. */
function placeOf(node: CelNode, visit: (node: CelNode) => void): string[] | undefined {
  if (node.op === 'id') return ROOTS.has(node.args) ? [node.args as string] : undefined
  if (node.op !== '.' && node.op !== '[]') return undefined
  const [base, key] = node.args as [CelNode, string | CelNode]
  const place = placeOf(base, visit)
  if (!place) return undefined
  if (typeof key === 'string') return [...place, key]
  if (key.op === 'value') return [...place, String(key.args)]
  visit(key)
  return [...place, '*']
}
