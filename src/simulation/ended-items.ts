/** The items of maps that ended in a simulation, and the output of the map when all of them have: as `engine/acts/join-items.ts` makes it. Pure. */
import type { StepRunRow, Transition } from '../engine/decide/draft.ts'
import type { ItemCounts } from '../engine/in-flight.ts'
import type { Json } from '../language/values.ts'

/** Failures that the output lists; the counts have all of them. */
const MOST_LISTED = 100
const ITEM = /^(.+)\.items\[(\d+)\]$/

export class EndedItems {
  /** by the path of the map, by place */
  readonly #byMap = new Map<string, StepRunRow[]>()

  hear({ stepRuns }: Transition): void {
    for (const row of stepRuns) {
      const [, map, place] = ITEM.exec(row.path) ?? []
      if (map === undefined) continue
      const items = this.#byMap.get(map) ?? []
      items[Number(place)] = row
      this.#byMap.set(map, items)
    }
  }

  /** They are not kept any longer. */
  join(path: string, counts: ItemCounts): Json {
    const rows = Array.from({ length: counts.total }, (_, place) => this.#byMap.get(path)?.[place])
    this.#byMap.delete(path)
    const failed = rows.flatMap((row, index) => (row?.status === 'FAILED' && row.error ? [{ index, ...row.error }] : []))
    return { items: rows.map((row) => row?.output ?? null), failed: failed.slice(0, MOST_LISTED), counts: { ...counts } }
  }
}
