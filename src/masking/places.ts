/** Places in a JSON value, as a tree: which of its parts are hidden. */

export interface Places {
  /** this place, with all that is in it */
  hidden?: boolean
  /** by key, or by index as text */
  fields?: Map<string, Places>
  /** every key and every index */
  any?: Places
}

export const HIDDEN: Places = { hidden: true }

/** Adds what lies at `path` (`'*'` is every key); parts that are there already stay. Returns the root. */
export function addPlace(root: Places, path: readonly string[], what: Places = HIDDEN): Places {
  const [key, ...rest] = path
  if (key === undefined) return Object.assign(root, joined(root, what))
  if (key === '*') root.any = addPlace(root.any ?? {}, rest, what)
  else (root.fields ??= new Map()).set(key, addPlace(root.fields.get(key) ?? {}, rest, what))
  return root
}

/** Hidden in one of them, hidden. */
export function joined(a: Places | undefined, b: Places | undefined): Places {
  if (!a || !b) return { ...a, ...b }
  const fields = new Map(a.fields)
  for (const [key, inner] of b.fields ?? []) fields.set(key, joined(fields.get(key), inner))
  return {
    ...((a.hidden || b.hidden) && { hidden: true }),
    ...(fields.size > 0 && { fields }),
    ...((a.any || b.any) && { any: joined(a.any, b.any) }),
  }
}

/** What is hidden below `key`; undefined: nothing. */
export function below(places: Places | undefined, key: string): Places | undefined {
  if (!places) return undefined
  if (places.hidden) return HIDDEN
  const own = places.fields?.get(key)
  return own && places.any ? joined(own, places.any) : (own ?? places.any)
}

export const hidesAnything = ({ hidden, fields, any }: Places): boolean =>
  hidden === true || [...(fields?.values() ?? []), ...(any ? [any] : [])].some(hidesAnything)

/** Whether all that is hidden in `inner` is hidden in `outer` too. */
export function covers(outer: Places | undefined, inner: Places): boolean {
  if (outer?.hidden || !hidesAnything(inner)) return true
  if (!outer || inner.hidden) return false
  const fields = [...(inner.fields ?? [])].every(([key, part]) => covers(below(outer, key), part))
  return fields && (!inner.any || covers(outer.any, inner.any))
}

/** What is hidden at a path (`'*'`: below any key); undefined: nothing. */
export function lookUp(places: Places, path: readonly string[]): Places | undefined {
  let here: Places | undefined = places
  for (const key of path) {
    if (!here || here.hidden) break
    here = key === '*' ? [...(here.fields?.values() ?? []), here.any].reduce((a, b) => joined(a, b), undefined) : below(here, key)
  }
  return here && hidesAnything(here) ? here : undefined
}
