/**
 * Locks that one process of a fleet has at a time, by name: they save work that would be done twice, and nothing depends on them. Whoever
 * pauses for longer than its lock lasts finds that somebody else has it; what must not happen twice is guarded where it is stored.
 */
import { randomUUID } from 'node:crypto'
import type { Logger } from '../log.ts'

export interface Lock {
  /** false when it may be somebody else's by now */
  readonly held: boolean
  /** Nothing happens when it is not held any more. Never rejects. */
  release(): Promise<void>
}

export interface Locks {
  /**
   * undefined: somebody has it. It ends `ttlMs` after the process that has it was last alive, and is extended until then or until it is
   * released. Never rejects: where nobody can be asked it is given to all who ask, since work done twice is better than none.
   */
  acquire(name: string, ttlMs: number): Promise<Lock | undefined>
}

/** What keeps the locks. `token`: of whoever has it; each is one step that nothing comes between. True: done. */
export interface LockStore {
  take(name: string, token: string, ttlMs: number): Promise<boolean>
  extend(name: string, token: string, ttlMs: number): Promise<boolean>
  remove(name: string, token: string): Promise<boolean>
}

/** Of what it lasts; a lock is extended three times before it ends. */
const EXTEND_AFTER = 1 / 3

export function createLocks(store: LockStore, log: Logger): Locks {
  return {
    async acquire(name, ttlMs) {
      const token = randomUUID()
      const asked = performance.now()
      try {
        return (await store.take(name, token, ttlMs)) ? keepLock({ store, log, name, token, ttlMs }, asked) : undefined
      } catch (error) {
        log.warn({ why: (error as Error).message }, `the lock of ${name} could not be asked for: it may be done twice`)
        return unshared(asked + ttlMs)
      }
    },
  }
}

/** Of whoever could ask nobody. */
function unshared(until: number): Lock {
  let released = false
  return {
    get held() {
      return !released && performance.now() < until
    },
    async release() {
      released = true
    },
  }
}

interface Kept {
  store: LockStore
  log: Logger
  name: string
  token: string
  ttlMs: number
}

/** `since`: by the monotonic clock, before it was asked for, so that it never lasts longer here than there. */
function keepLock({ store, log, name, token, ttlMs }: Kept, since: number): Lock {
  let until = since + ttlMs
  let timer: NodeJS.Timeout | undefined
  const held = (): boolean => performance.now() < until

  function plan(): void {
    timer = setTimeout(() => void extend(), ttlMs * EXTEND_AFTER).unref()
  }

  async function extend(): Promise<void> {
    if (!held()) return
    const asked = performance.now()
    try {
      const extended = await store.extend(name, token, ttlMs)
      // released meanwhile
      if (timer === undefined) return
      until = extended ? asked + ttlMs : 0
    } catch (error) {
      log.debug({ why: (error as Error).message }, `the lock of ${name} was not extended`)
    }
    if (timer !== undefined && held()) plan()
  }

  plan()
  return {
    get held() {
      return held()
    },
    async release() {
      clearTimeout(timer)
      timer = undefined
      until = 0
      await store.remove(name, token).catch(() => log.debug(`the lock of ${name} was not released; it ends by itself`))
    },
  }
}

/** Work that one process of the fleet does for all: whoever is first keeps it while it lives. */
export interface Singleton {
  /** Whether this process is to do it now. Never rejects. */
  isMine(): Promise<boolean>
  /** Leaves it to others. */
  stop(): Promise<void>
}

export function createSingleton(locks: Locks, name: string, ttlMs: number): Singleton {
  let lock: Lock | undefined
  let asking: Promise<Lock | undefined> | undefined
  let stopped = false

  return {
    async isMine() {
      if (lock?.held) return true
      if (stopped) return false
      lock = await (asking ??= locks.acquire(name, ttlMs))
      asking = undefined
      return lock !== undefined
    },
    async stop() {
      stopped = true
      const last = (await asking) ?? lock
      await last?.release()
    },
  }
}
