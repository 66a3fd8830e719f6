/**
 * Workers that know of each other over the bus, so that one of them is woken and not all: each says who it is, whom it serves and
 * whether it has room, each second and when that changes. What is known may be a second old, and whoever is gone is known a while longer.
 * Whoever was woken and has no room meanwhile wakes another.
 */
import { randomUUID } from 'node:crypto'
import type { Bus } from './bus.ts'

/** Where those are known who take steps of a pool, whoever has their executions: they have room for the one or for the other. */
export const stepsIn = (pool: string): string => `${pool}/steps`

const PEERS_TOPIC = 'work:peers'
const wakeTopic = (id: string): string => `work:${id}`

const TELL_EVERY_MS = 1_000
/** Three times not heard of: gone. */
const GONE_AFTER_MS = 3_500
/** More than this are no workers of ours. */
const MAX_PEERS = 10_000
const MAX_ID = 64

interface Peer {
  readonly pools: readonly string[]
  readonly hasRoom: boolean
  readonly heardAt: number
}

export interface Membership {
  /** Tells the others whether it has room, if that is new; true: it has, and they did not know. */
  tellRoom(): boolean
  leave(): void
}

export interface Peers {
  /** Wakes one worker of the pool that has room, another each time; `full`: none of those that are known has any. */
  wakeOne(pool: string): 'woken' | 'full' | 'nobody'
  /** Is one of them from here on. */
  join(pools: readonly string[], hasRoom: () => boolean, woken: () => void): Membership
  close(): void
}

export function createPeers(bus: Pick<Bus, 'ring' | 'listen'>): Peers {
  const known = new Map<string, Peer>()
  const unlisten = bus.listen(PEERS_TOPIC, (said) => {
    const heard = said === undefined ? undefined : parse(said)
    if (!heard) return
    const { id, pools, hasRoom } = heard
    // who was heard of last stands last: the first is whose turn it is the longest
    if (pools.length === 0) known.delete(id)
    else if (known.size < MAX_PEERS || known.has(id)) known.set(id, { pools, hasRoom, heardAt: performance.now() })
  })

  function wakeOne(pool: string): ReturnType<Peers['wakeOne']> {
    const now = performance.now()
    let isKnown = false
    for (const [id, peer] of known) {
      if (now - peer.heardAt > GONE_AFTER_MS) known.delete(id)
      else if (peer.pools.includes(pool)) {
        isKnown = true
        if (!peer.hasRoom) continue
        known.delete(id)
        known.set(id, peer)
        bus.ring(wakeTopic(id))
        return 'woken'
      }
    }
    return isKnown ? 'full' : 'nobody'
  }

  return {
    wakeOne,
    join(pools, hasRoom, woken) {
      const id = randomUUID()
      let told: boolean | undefined
      const tell = (): void => {
        told = hasRoom()
        known.set(id, { pools, hasRoom: told, heardAt: performance.now() })
        bus.ring(PEERS_TOPIC, JSON.stringify([id, told, ...pools]))
      }
      const tellRoom = (): boolean => {
        if (hasRoom() === told) return false
        tell()
        return told === true
      }
      const stopHearing = bus.listen(wakeTopic(id), () => {
        woken()
        if (hasRoom()) return
        // it filled up meanwhile: somebody else's turn, and nobody else's mistake
        tellRoom()
        for (const pool of pools) wakeOne(pool)
      })
      const timer = setInterval(tell, TELL_EVERY_MS).unref()
      tell()
      return {
        tellRoom,
        leave() {
          clearInterval(timer)
          stopHearing()
          known.delete(id)
          bus.ring(PEERS_TOPIC, JSON.stringify([id, false]))
        },
      }
    },
    close: unlisten,
  }
}

function parse(said: string): { id: string; hasRoom: boolean; pools: string[] } | undefined {
  try {
    const [id, hasRoom, ...pools] = JSON.parse(said) as unknown[]
    if (
      typeof id !== 'string' ||
      id.length > MAX_ID ||
      typeof hasRoom !== 'boolean' ||
      !pools.every((pool) => typeof pool === 'string')
    )
      return undefined
    return { id, hasRoom, pools }
  } catch {
    return undefined
  }
}
