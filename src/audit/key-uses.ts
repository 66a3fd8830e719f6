/**
 * Uses of keys and links in the audit log (B14): one row for each and minute, with how often and from how many addresses. Each process
 * writes its own, so in a fleet the rows of a minute add up.
 */
import { sqlState } from '../database/database.ts'
import type { DatabaseClock } from '../database/clock.ts'
import { newUuid } from '../ids.ts'
import type { Logger } from '../log.ts'
import type { AuditEntry } from './audit-entry.ts'
import type { AuditKeys } from './audit-keys.ts'
import type { WriteAudit } from './audit-writer.ts'
import type { Actor } from './record-audit.ts'

const MINUTE_MS = 60_000
const SWEEP_MS = 5_000
/** Past so many keys in a minute the one that was used first is written sooner. */
const MAX_KEYS = 10_000
/** Of one key in one minute; more are not told apart. */
export const MAX_ADDRESSES = 32

export interface KeyUsesOptions {
  readonly write: WriteAudit
  readonly sign: AuditKeys['sign']
  readonly clock: Pick<DatabaseClock, 'now'>
  readonly log: Logger
  readonly maxKeys?: number
}

/** The uses of one key since the first of them, in one minute of the clock. */
interface Minute {
  readonly actor: Actor & { id: string }
  readonly since: number
  count: number
  readonly addresses: Set<string>
}

/** `metadata` of a row: `count`, `addresses` (how many; 32 stands for 32 or more) and `since`. `ip` is there when it was one alone. */
export class KeyUses {
  readonly #options: Required<KeyUsesOptions>
  /** by the id of the key */
  readonly #minutes = new Map<string, Minute>()
  /** all that was begun to be written */
  #written: Promise<void> = Promise.resolve()
  #timer: NodeJS.Timeout | undefined

  constructor(options: KeyUsesOptions) {
    this.#options = { maxKeys: MAX_KEYS, ...options }
  }

  /** One use, now: what costs a look into a map and a set. Uses of people are not counted: their sessions are audited. */
  note(actor: Actor, address: string): void {
    const { kind, id } = actor
    if (id === undefined || !(kind in TYPES)) return
    const now = this.#options.clock.now()
    const known = this.#minutes.get(id)
    if (known && minuteOf(known.since) === minuteOf(now)) return add(known, 1, [address])
    if (known) this.#end([known])
    else if (this.#minutes.size >= this.#options.maxKeys) this.#end([this.#minutes.values().next().value!])
    this.#minutes.set(id, { actor: { kind, id }, since: now, count: 1, addresses: new Set([address]) })
  }

  /** Writes the minutes that are over, or all of them. Never rejects: what could not be written is counted on. */
  async runOnce({ all = false } = {}): Promise<void> {
    const now = minuteOf(this.#options.clock.now())
    this.#end([...this.#minutes.values()].filter(({ since }) => all || minuteOf(since) !== now))
    await this.#written
  }

  start(): void {
    this.#timer = setInterval(() => void this.runOnce(), SWEEP_MS).unref()
  }

  /** Writes what is counted. */
  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await this.runOnce({ all: true })
  }

  #end(minutes: readonly Minute[]): void {
    for (const { actor } of minutes) this.#minutes.delete(actor.id)
    const [before, writing] = [this.#written, this.#write(minutes)]
    this.#written = before.then(() => writing)
  }

  async #write(minutes: readonly Minute[]): Promise<void> {
    const written = await Promise.allSettled(minutes.map((minute) => this.#options.write(this.#entryOf(minute))))
    const failed = minutes.filter((_, at) => written[at]!.status === 'rejected')
    if (failed.length === 0) return
    for (const minute of failed) this.#countOn(minute)
    const reason: unknown = written.find((one) => one.status === 'rejected')?.reason
    // the text of PostgreSQL's errors may hold values
    const why = sqlState(reason) ? { sqlState: sqlState(reason) } : { err: reason }
    this.#options.log.error({ ...why, waiting: failed.length }, 'uses of keys could not be audited')
  }

  /** Joins what was not written with what came meanwhile; past the bound it is lost, which the log has told. */
  #countOn(minute: Minute): void {
    const newer = this.#minutes.get(minute.actor.id)
    if (newer) add(minute, newer.count, newer.addresses)
    else if (this.#minutes.size >= this.#options.maxKeys) return
    this.#minutes.set(minute.actor.id, minute)
  }

  #entryOf({ actor, since, count, addresses }: Minute): AuditEntry {
    const { sign, clock } = this.#options
    const [ip] = addresses
    return {
      ...{ id: newUuid(), at: iso(clock.now()), type: TYPES[actor.kind]!, severity: 'INFO', success: true, sign },
      ...{ actorKind: actor.kind, actorId: actor.id, ip: addresses.size === 1 ? ip : undefined },
      metadata: { count, addresses: addresses.size, since: iso(since) },
    }
  }
}

const TYPES: Partial<Record<Actor['kind'], string>> = { API_KEY: 'key.used', AGENT: 'key.used', LINK: 'link.used' }

const minuteOf = (ms: number): number => Math.floor(ms / MINUTE_MS)
const iso = (ms: number): string => new Date(ms).toISOString()

function add(minute: Minute, count: number, addresses: Iterable<string>): void {
  minute.count += count
  for (const address of addresses) if (minute.addresses.size < MAX_ADDRESSES) minute.addresses.add(address)
}
