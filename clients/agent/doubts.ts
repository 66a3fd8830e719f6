/**
 * Messages that the key known here did not sign: forged, or signed with a newer key than the API named (some of its processes may still have the
 * old one). They stay in the stream, and come again when there is another key; what no key has signed for long is forged.
 */
import type { Entry, Place, RoleStreams } from './role-streams.ts'
import type { ServerKey } from './server-key.ts'

/** A fleet has its new key everywhere by then; no request is open for longer. */
const FORGED_AFTER_MS = 600_000
/** Servers throw a stream away that has more of them. */
const MOST_DOUBTED = 20_000

export interface Doubts {
  add(entry: Entry): Promise<void>
  /** Asks the API about the key, while there is doubt. To be called often; nobody waits for it. */
  review(): Promise<void>
}

export function createDoubts(key: ServerKey, streams: RoleStreams): Doubts {
  /** by `performance.now()`, the oldest first */
  const since = new Map<Place, number>()
  /** what all of them were judged by */
  let judgedBy = key.current
  let isReviewing = false

  function forgetIfChanged(): void {
    if (judgedBy === key.current) return
    judgedBy = key.current
    for (const place of since.keys()) streams.wantAgain(place)
    since.clear()
  }

  async function giveUpOld(): Promise<void> {
    for (const [place, at] of since) {
      if (performance.now() - at < FORGED_AFTER_MS || judgedBy !== key.current) return
      await streams.acknowledge(place)
      since.delete(place)
      streams.wantAgain(place)
    }
  }

  return {
    async add({ stream, entry, fields }) {
      const place = { stream, entry }
      if (key.isGiven) return streams.acknowledge(place)
      // known since it was judged
      if (key.textOf(fields) !== undefined) return streams.letGo(place)
      forgetIfChanged()
      streams.passBy(place)
      since.set(place, performance.now())
      if (since.size <= MOST_DOUBTED) return
      const oldest = since.keys().next().value!
      since.delete(oldest)
      streams.wantAgain(oldest)
    },
    async review() {
      if (since.size === 0 || isReviewing) return
      isReviewing = true
      try {
        const isCertain = await key.renew()
        forgetIfChanged()
        if (isCertain) await giveUpOld()
      } finally {
        isReviewing = false
      }
    },
  }
}
