/** How things that come again and again find their place: the newer one wins, and nothing is there twice. */

/** Of two states of one thing the one with the higher `version`; what the newer one does not say stays as it was. */
export function newerOf<Thing extends object>(held: Thing | undefined, came: Thing): Thing {
  return held === undefined ? came : isOlder(came, held) ? held : { ...held, ...came }
}

/** Without a `version` on both, what came last is newer. */
export function isOlder(came: object, held: object): boolean {
  const [next, known] = [versionOf(came), versionOf(held)]
  return next !== undefined && known !== undefined && next < known
}

const versionOf = (thing: object): number | undefined => (thing as { version?: number }).version

/** Both in the order of `seq`, each once. */
export function mergeBySeq<Event extends { readonly seq: number }>(
  held: readonly Event[],
  came: readonly Event[],
): readonly Event[] {
  const last = held.at(-1)?.seq ?? 0
  const isNext = came.every(({ seq }, at) => seq > (at === 0 ? last : came[at - 1]!.seq))
  // nearly always: the next ones
  if (isNext) return came.length === 0 ? held : [...held, ...came]
  const all = new Map([...held, ...came].map((event) => [event.seq, event]))
  return all.size === held.length ? held : [...all.values()].sort((a, b) => a.seq - b.seq)
}

/** What has the same key takes the place of what had it; the rest is added in its order. */
export function mergeByKey<Thing extends object>(
  held: readonly Thing[],
  came: readonly Thing[],
  keyOf: (thing: Thing) => string,
): readonly Thing[] {
  if (came.length === 0) return held
  const all = new Map(held.map((thing) => [keyOf(thing), thing]))
  for (const thing of came) all.set(keyOf(thing), newerOf(all.get(keyOf(thing)), thing))
  return [...all.values()]
}
