/** The server takes one operation a document; a tab of GraphiQL may hold several. */

/** The text of this operation and of the fragments that it uses, out of `query`, which was parsed to `document`. */
export function oneOperation(operation, document, query) {
  const fragments = new Map()
  for (const definition of document.definitions) {
    if (definition.kind === 'FragmentDefinition') fragments.set(definition.name.value, definition)
  }
  const used = new Set([operation])
  for (const definition of used) {
    JSON.stringify(definition, (key, node) => {
      if (node?.kind === 'FragmentSpread' && fragments.has(node.name.value)) used.add(fragments.get(node.name.value))
      return key === 'loc' ? undefined : node
    })
  }
  return [...used].map(({ loc }) => query.slice(loc.start, loc.end)).join('\n')
}
