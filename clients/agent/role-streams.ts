/** The streams of an agent's roles: each message goes to one agent of the role, and to another when that one goes silent. */
import { duplicate } from './redis-connection.ts'
import type { RedisClient } from './redis-connection.ts'

/** All agents of a role read in it. */
const GROUP = 'agents'
const BLOCK_MS = 2_000
/** An agent says this often that it is still about what it took. */
const KEEP_EVERY_MS = 5_000
/** What nobody spoke of for this long, another agent takes. */
const SILENT_FOR_MS = 15_000
const PENDING_LOOKED_AT = 1_000
/** Of each kind; it comes again in the end. */
const MOST_PASSED_BY = 20_000

export interface Place {
  readonly stream: string
  readonly entry: string
}

/** A message as it lies in a stream. */
export interface Entry extends Place {
  readonly fields: Readonly<Record<string, string>>
}

export interface RoleStreams {
  /** The next ones, at most so many; none after a while without any. */
  next(most: number): Promise<Entry[]>
  /** It is done. */
  acknowledge(place: Place): Promise<void>
  /** It comes again, here or elsewhere, when nobody spoke of it for a while. */
  letGo(place: Place): void
  /** The same, but it comes to this process only after `wantAgain`. */
  passBy(place: Place): void
  wantAgain(place: Place): void
  /** Another may have it at once, this process again after so many ms; infinitely many: never. */
  handOver(place: Place, forMs: number): void
  /** Called with what this process is about and is not in its stream any more. */
  onGone(listener: (place: Place) => void): void
}

type Raw = [entry: string, fields: string[] | null]

export interface RoleStreamsOptions {
  /** stays whoever's it is */
  readonly redis: RedisClient
  readonly roles: readonly string[]
  /** who reads, the same after a restart */
  readonly name: string
  /** ends all that is opened here */
  readonly closing: AbortSignal
}

export function openRoleStreams({ redis, roles, name, closing }: RoleStreamsOptions): RoleStreams {
  const streams = roles.map((role) => `messages:${role}`)
  /** Each stream has a connection that blocks: in a cluster they lie at different nodes. */
  const blocking = new Map(streams.map((stream) => [stream, duplicate(redis, closing)]))
  const listening = new Map<string, Promise<void>>()
  /** given to this process, which was not asked to give it out yet */
  const arrived: Entry[] = []
  /** what this process is about */
  const held = new Map<string, Set<string>>(streams.map((stream) => [stream, new Set()]))
  /** what this process passes by */
  const passedBy = new Set<string>()
  /** what it passes by until that time, by `performance.now()` */
  const later = new Map<string, number>()
  /** What it had when it was ended the last time comes first: after which entry it was not read yet. */
  const behind = new Map(streams.map((stream) => [stream, '0']))
  /** when to look for what is silent, by `performance.now()` */
  let lookAt = Number.NEGATIVE_INFINITY
  let hasJustLooked = false

  const gone = new Set<(place: Place) => void>()
  const keeping = setInterval(() => {
    for (const [stream, entries] of held) void keep(stream, [...entries]).catch(() => undefined)
  }, KEEP_EVERY_MS)
  closing.addEventListener('abort', () => clearInterval(keeping), { once: true })

  /** Begins the idle time of these anew. What is not in the stream any more was answered, or nobody waits for it. */
  async function keep(stream: string, entries: readonly string[]): Promise<void> {
    if (entries.length === 0) return
    const kept = new Set((await redis.call('xclaim', stream, GROUP, name, 0, ...entries, 'JUSTID')) as string[])
    for (const entry of entries) if (!kept.has(entry)) for (const listener of gone) listener({ stream, entry })
  }

  function hold(stream: string, raw: readonly Raw[]): Entry[] {
    const entries = held.get(stream)!
    return raw.flatMap(([entry, flat]) => {
      // null: it was taken out of the stream meanwhile
      if (flat === null || entries.has(entry)) return []
      entries.add(entry)
      const fields = Object.fromEntries(flat.flatMap((field, at) => (at % 2 === 0 ? [[field, flat[at + 1] ?? '']] : [])))
      return [{ stream, entry, fields }]
    })
  }

  async function makeGroups(): Promise<void> {
    for (const stream of streams) {
      await redis.xgroup('CREATE', stream, GROUP, '0', 'MKSTREAM').catch((error: Error) => {
        // where agents may not, servers do
        if (error.message.startsWith('NOPERM')) throw new Error(`${stream} is not there yet`)
        if (!error.message.startsWith('BUSYGROUP')) throw error
      })
    }
  }

  /** What this name was given and did not acknowledge, the next ones of it. */
  async function readOwn(stream: string, after: string, most: number): Promise<Entry[]> {
    const [read] = ((await redis.xreadgroup('GROUP', GROUP, name, 'COUNT', most, 'STREAMS', stream, after)) ?? []) as [
      string,
      Raw[],
    ][]
    const own = read?.[1] ?? []
    if (own.length < most) behind.delete(stream)
    else behind.set(stream, own.at(-1)![0])
    return hold(stream, own)
  }

  async function takeOver(most: number): Promise<Entry[]> {
    const taken: Entry[] = []
    let room = most
    for (const stream of streams) {
      const silent = await findSilent(stream, room)
      room -= silent.length
      if (silent.length > 0)
        taken.push(...hold(stream, (await redis.call('xclaim', stream, GROUP, name, SILENT_FOR_MS, ...silent)) as Raw[]))
    }
    // where there may be more, soon again
    if (room > 0) lookAt = performance.now() + KEEP_EVERY_MS
    return taken
  }

  /** The oldest that nobody spoke of and that are not passed by: however many are, they hide no other. */
  async function findSilent(stream: string, most: number): Promise<string[]> {
    const found: string[] = []
    for (let from = '-'; found.length < most;) {
      const pending = await redis.xpending(stream, GROUP, 'IDLE', SILENT_FOR_MS, from, '+', PENDING_LOOKED_AT)
      const silent = (pending as [entry: string, ...unknown[]][]).map(([entry]) => entry)
      found.push(...silent.filter((entry) => !isPassedBy({ stream, entry })))
      if (silent.length < PENDING_LOOKED_AT) break
      from = `(${silent.at(-1)!}`
    }
    return found.slice(0, most)
  }

  function isPassedBy(place: Place): boolean {
    const key = keyOf(place)
    return passedBy.has(key) || later.has(key)
  }

  function isTimeToLook(): boolean {
    const now = performance.now()
    for (const [key, at] of later) {
      if (at > now) continue
      later.delete(key)
      lookAt = now
    }
    return lookAt <= now
  }

  async function read(most: number): Promise<Entry[]> {
    for (const [stream, after] of behind) return readOwn(stream, after, most)
    // by turns: what is new waits for nothing that was forged and lies there, silent
    hasJustLooked = !hasJustLooked && isTimeToLook()
    if (hasJustLooked) {
      const taken = await takeOver(most)
      if (taken.length > 0) return taken
    }
    for (const stream of streams)
      if (arrived.length < most) arrived.push(...(await readNew(redis, stream, ['COUNT', most - arrived.length])))
    // the one that was first is the last the next time
    streams.push(streams.shift()!)
    if (arrived.length === 0 && !isTimeToLook()) await Promise.race(streams.map(listen))
    return arrived.splice(0, most)
  }

  /** Settles when something has come in a stream, or when nothing has for a while; one at a time for each. */
  function listen(stream: string): Promise<void> {
    const known = listening.get(stream)
    if (known) return known
    const read = readNew(blocking.get(stream)!, stream, ['COUNT', 1, 'BLOCK', BLOCK_MS])
    const listens = read.then((entries) => void arrived.push(...entries)).finally(() => listening.delete(stream))
    listening.set(stream, listens)
    return listens
  }

  /** Of no other agent yet. */
  async function readNew(from: RedisClient, stream: string, how: ['COUNT', number, ...('BLOCK' | number)[]]): Promise<Entry[]> {
    const found = (await from.call('xreadgroup', 'GROUP', GROUP, name, ...how, 'STREAMS', stream, '>')) as
      | [string, Raw[]][]
      | null
    return hold(stream, found?.[0]?.[1] ?? [])
  }

  return {
    async next(most) {
      try {
        return await read(most)
      } catch (error) {
        if (!(error instanceof Error)) throw error
        // what it waited for was taken away, or lies at another node now: it is asked again
        if (error.message.startsWith('UNBLOCKED')) return []
        // at the first time, and after Redis lost everything
        if (!error.message.startsWith('NOGROUP')) throw error
        await makeGroups()
        for (const stream of streams) behind.set(stream, '0')
        return []
      }
    },
    async acknowledge(place) {
      release(place)
      await redis.xack(place.stream, GROUP, place.entry)
    },
    letGo: release,
    passBy,
    wantAgain(place) {
      passedBy.delete(keyOf(place))
      lookAt = performance.now()
    },
    handOver(place, forMs) {
      if (forMs === Number.POSITIVE_INFINITY) passBy(place)
      else {
        release(place)
        later.set(keyOf(place), performance.now() + forMs)
        forgetOldest(later)
      }
      const { stream, entry } = place
      const asSilent = redis.call('xclaim', stream, GROUP, name, 0, entry, 'IDLE', SILENT_FOR_MS, 'JUSTID')
      // if that is lost it is silent in a while
      asSilent.catch(() => undefined)
    },
    onGone: (listener) => void gone.add(listener),
  }

  function release({ stream, entry }: Place): void {
    held.get(stream)?.delete(entry)
  }

  function passBy(place: Place): void {
    release(place)
    passedBy.add(keyOf(place))
    forgetOldest(passedBy)
  }
}

const keyOf = ({ stream, entry }: Place): string => `${stream} ${entry}`

function forgetOldest(among: Set<string> | Map<string, unknown>): void {
  if (among.size > MOST_PASSED_BY) among.delete(among.keys().next().value!)
}
