/** Slots: how many executions of a flow run at once (`concurrency`). The rows are written by commit-slots.sql, with the commit of a start. */
import { createHash } from 'node:crypto'
import type { OnLimit } from '../language/around/concurrency.ts'
import type { StartKey } from '../language/around/key.ts'
import type { Program } from '../language/program.ts'
import type { Evaluated, JsonObject } from '../language/values.ts'
import { lookUp } from '../masking/places.ts'
import type { Snapshot } from './decide/snapshot.ts'

/** What a start asks for. */
export interface SlotAsk {
  key: string
  /** the key is the hash of one that readers may not see */
  hidden: boolean
  most: number
  onLimit: OnLimit
  mostQueued: number
  /** ms since 1970; it does not wait for a slot before */
  dueAt: number
}

/** A change of a slot that a transition brings. `again`: a start that waited was paused, and goes on. */
export type SlotRow =
  | { kind: 'free' | 'again'; key: string }
  | ({ kind: 'ask'; priority: number } & Omit<SlotAsk, 'onLimit'> & { cancelsOlder: boolean })

/** Before any moment of PostgreSQL's clock, of which ours may be ahead. */
const AT_ONCE = 0

/** undefined: the flow has no limit. `dueAt`: ms since 1970, in the future. A failure says why there is no key. */
export function slotOf(program: Program, input: JsonObject, dueAt = AT_ONCE): Evaluated<SlotAsk | undefined> {
  const rule = program.concurrency
  if (!rule) return NO_SLOT
  const made = rule.key ? keyOf(program, rule.key, input) : ALL
  if (!made.ok) return made
  const { max: most, onLimit, maxQueued: mostQueued } = rule
  return { ok: true, value: { ...made.value, most, onLimit, mostQueued, dueAt } }
}

const NO_SLOT: Evaluated<undefined> = { ok: true, value: undefined }
const ALL = { ok: true, value: { key: '', hidden: false } } as const

/** What is made of sensitive input is kept as its hash. */
export function keyOf(program: Program, key: StartKey, input: JsonObject): Evaluated<{ key: string; hidden: boolean }> {
  const made = key.of(input)
  if (!made.ok) return made
  const places = program.sensitive?.(input)
  const scope = places && { fields: new Map([['input', places]]) }
  const hidden = scope !== undefined && (key.template.reads ?? []).some(({ place }) => lookUp(scope, place))
  return {
    ok: true,
    value: { key: hidden ? createHash('sha256').update(made.value).digest('hex') : made.value, hidden },
  }
}

/** What the transition from one to the other does to its slot, but for asking for it. */
export function slotChange(from: Snapshot, next: Snapshot): SlotRow | undefined {
  if (next.slotKey == null) return undefined
  if (next.endedAt !== null) return { kind: 'free', key: next.slotKey }
  return from.status === 'PAUSED' && next.status === 'PENDING' ? { kind: 'again', key: next.slotKey } : undefined
}

export function askRow({ onLimit, ...ask }: SlotAsk, priority: number): SlotRow {
  return { kind: 'ask', ...ask, priority, cancelsOlder: onLimit === 'cancelOlder' }
}
