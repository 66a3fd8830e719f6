/** Whether this process can do its work, from its first moment to its last: what `/health/ready` says at every port of it. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { AskReadiness, Readiness } from '../server/health.ts'

/** A database that does not answer within this is one that is away. */
const PATIENCE_MS = 2_000
/** Anybody may ask, as often as they like: the database is asked this often. */
const REMEMBERED_MS = 250
/** A new program at an old database lacks them all. */
const MOST_NAMED = 3

export interface HealthChecks {
  /** what keeps the process from working */
  waitsFor(): Promise<readonly string[]>
  /** false: this worker may run nothing */
  holdsLease(): boolean
  /** what is configured, away, and can be done without */
  without(): readonly string[]
}

export interface Health {
  readonly ask: AskReadiness
  /** What a process waits for that starts; the same, for whoever asked. */
  waitFor(what: readonly string[]): readonly string[]
  /** It has started: these say from now on how it is. */
  watch(checks: HealthChecks): void
  /** Not ready any more: it ends. */
  drain(): void
  readonly isDraining: boolean
}

export function createHealth(): Health {
  let starting: readonly string[] = ['database']
  let checks: HealthChecks | undefined
  let draining = false
  let remembered: { at: number; readiness: Promise<Readiness> } | undefined

  function look({ waitsFor, holdsLease, without }: HealthChecks): Promise<Readiness> {
    const now = performance.now()
    if (remembered && now - remembered.at < REMEMBERED_MS) return remembered.readiness
    const asked = Promise.race([waitsFor(), sleep(PATIENCE_MS, ['database'], { ref: false })]).catch(() => ['database'])
    const readiness = asked.then((waiting) => tell([...waiting, ...(holdsLease() ? [] : ['lease'])], without()))
    remembered = { at: now, readiness }
    return readiness
  }

  return {
    async ask() {
      if (draining) return tell(['draining'])
      return checks ? look(checks) : tell(starting)
    },
    waitFor: (what) => (starting = what),
    watch: (given) => void (checks = given),
    drain: () => void (draining = true),
    get isDraining() {
      return draining
    },
  }
}

function tell(waiting: readonly string[], without: readonly string[] = []): Readiness {
  const more = waiting.length - MOST_NAMED
  return { waitingFor: more > 1 ? [...waiting.slice(0, MOST_NAMED), `${more} more`] : waiting, without }
}
