/** How often flows are started (`rate` of a definition, C2): counted as all limits are, in this process or by a fleet together. */
import { LRUCache } from 'lru-cache'
import type { CreateLimiter, Limiter, LimitState } from '../fleet/limiter.ts'
import type { StartRate } from '../language/around/rate.ts'
import type { Program } from '../language/program.ts'
import type { JsonObject } from '../language/values.ts'
import { keyOf } from './slots.ts'

/** What is to be started, by whom. UUIDs. */
export interface RatedStart {
  flowId: string
  initiatorId: string
  program: Program
  input: JsonObject
}

export type RateVerdict =
  | { kind: 'taken'; giveBack(): void }
  | { kind: 'refused'; message: string; retryAfterMs: number }
  | { kind: 'noKey'; message: string }

export interface StartRates {
  /** One start of each of its rules, or of none. */
  take(start: RatedStart): Promise<RateVerdict>
  /** How the rules stand that need no input: those without a key. */
  look(of: Omit<RatedStart, 'input'>): Promise<{ rule: StartRate; state: LimitState }[]>
}

/** Rules that say the same share a counter; more than these at once are started afresh. Each remembers so many keys in this process. */
const MAX_COUNTERS = 200
const KEYS_OF_EACH = 5_000

const NOTHING: RateVerdict = { kind: 'taken', giveBack: () => undefined }

export function createStartRates(createLimiter: CreateLimiter): StartRates {
  const counters = new LRUCache<string, Limiter>({ max: MAX_COUNTERS })

  function counterOf({ max, windowSeconds }: StartRate): Limiter {
    const name = `starts-${max}-${windowSeconds}`
    let counter = counters.get(name)
    if (!counter) counters.set(name, (counter = createLimiter({ name, points: max, windowSeconds, keys: KEYS_OF_EACH })))
    return counter
  }

  return {
    async take({ flowId, initiatorId, program, input }) {
      const taken: (() => void)[] = []
      const giveBack = (): void => taken.forEach((undo) => undo())
      for (const [place, rule] of (program.rates ?? []).entries()) {
        const made = rule.key ? keyOf(program, rule.key, input) : undefined
        if (made?.ok === false) return (giveBack(), { kind: 'noKey', message: made.message })
        const key = keyFor(flowId, place, rule, initiatorId, made?.value.key)
        const counter = counterOf(rule)
        const { allowed, resetMs } = await counter.take(key)
        if (!allowed) return (giveBack(), { kind: 'refused', message: wordsFor(rule), retryAfterMs: resetMs })
        taken.push(() => void counter.giveBack(key, 1))
      }
      return taken.length > 0 ? { kind: 'taken', giveBack } : NOTHING
    },
    look({ flowId, initiatorId, program }) {
      const open = [...(program.rates ?? []).entries()].filter(([, { key }]) => !key)
      return Promise.all(
        open.map(async ([place, rule]) => ({
          rule,
          state: await counterOf(rule).look(keyFor(flowId, place, rule, initiatorId)),
        })),
      )
    },
  }
}

const keyFor = (flowId: string, place: number, { eachInitiator }: StartRate, initiatorId: string, key = ''): string =>
  `${flowId}/${place}/${eachInitiator ? initiatorId : ''}/${key}`

function wordsFor({ max, windowSeconds, key, eachInitiator }: StartRate): string {
  const whose = `${key ? ' with the same key' : ''}${eachInitiator ? ' by one initiator' : ''}`
  return `This flow may be started ${max} times in ${windowSeconds} s${whose}.`
}
