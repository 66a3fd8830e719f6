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
const PENDING_LOOKED_AT = 100
const MOST_UNWANTED = 10_000

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
  /** Another may have it. `forGood`: this one does not want it again. */
  letGo(place: Place, forGood?: boolean): void
  /** Called with what this process is about and is not in its stream any more. */
  onGone(listener: (place: Place) => void): void
  close(): void
}

type Raw = [entry: string, fields: string[] | null]

/** `name`: who reads, the same after a restart. The connection stays whoever's it is. */
export function openRoleStreams(redis: RedisClient, roles: readonly string[], name: string): RoleStreams {
  const streams = roles.map((role) => `messages:${role}`)
  /** Each stream has a connection that blocks: in a cluster they lie at different nodes. */
  const blocking = new Map(streams.map((stream) => [stream, duplicate(redis)]))
  const listening = new Map<string, Promise<void>>()
  /** given to this process, which was not asked to give it out yet */
  const arrived: Entry[] = []
  /** what this process is about */
  const held = new Map<string, Set<string>>(streams.map((stream) => [stream, new Set()]))
  /** what others may have, as `stream entry` */
  const unwanted = new Set<string>()
  /** what it had when it was ended the last time comes first */
  let behind: string[] = [...streams]
  let lookedAt = performance.now()

  const gone = new Set<(place: Place) => void>()
  const keeping = setInterval(() => {
    for (const [stream, entries] of held) void keep(stream, [...entries]).catch(() => undefined)
  }, KEEP_EVERY_MS)

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

  /** What this name was given and did not acknowledge. */
  async function readOwn(stream: string): Promise<Entry[]> {
    const [read] = ((await redis.xreadgroup('GROUP', GROUP, name, 'STREAMS', stream, '0')) ?? []) as [string, Raw[]][]
    return hold(stream, read?.[1] ?? [])
  }

  async function takeOver(most: number): Promise<Entry[]> {
    const taken: Entry[] = []
    for (const stream of streams) {
      const pending = await redis.xpending(stream, GROUP, 'IDLE', SILENT_FOR_MS, '-', '+', PENDING_LOOKED_AT)
      const silent = (pending as [entry: string, ...unknown[]][]).map(([entry]) => entry)
      const wanted = silent.filter((entry) => !unwanted.has(`${stream} ${entry}`)).slice(0, most - taken.length)
      if (wanted.length === 0) continue
      const claimed = await redis.call('xclaim', stream, GROUP, name, SILENT_FOR_MS, ...wanted)
      taken.push(...hold(stream, claimed as Raw[]))
    }
    return taken
  }

  async function read(most: number): Promise<Entry[]> {
    for (const stream of behind.slice(0, 1)) {
      behind = behind.slice(1)
      arrived.push(...(await readOwn(stream)))
      return arrived.splice(0, most)
    }
    if (performance.now() - lookedAt > KEEP_EVERY_MS) {
      lookedAt = performance.now()
      const taken = await takeOver(most)
      if (taken.length > 0) return taken
    }
    for (const stream of streams)
      if (arrived.length < most) arrived.push(...(await readNew(redis, stream, ['COUNT', most - arrived.length])))
    // the one that was first is the last the next time
    streams.push(streams.shift()!)
    if (arrived.length === 0) await Promise.race(streams.map(listen))
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
        behind = [...streams]
        return []
      }
    },
    async acknowledge({ stream, entry }) {
      held.get(stream)?.delete(entry)
      await redis.xack(stream, GROUP, entry)
    },
    letGo({ stream, entry }, forGood = false) {
      held.get(stream)?.delete(entry)
      if (!forGood) return
      unwanted.add(`${stream} ${entry}`)
      if (unwanted.size > MOST_UNWANTED) unwanted.delete(unwanted.values().next().value!)
    },
    onGone: (listener) => void gone.add(listener),
    close() {
      clearInterval(keeping)
      for (const connection of blocking.values()) connection.disconnect()
    },
  }
}
