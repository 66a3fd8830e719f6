/** What may be seen of one execution by whoever does not unmask it: without what its flow marks as sensitive, and what came of that. */
import { derivePlaces } from '../language/derived-places.ts'
import type { DerivedPlaces } from '../language/derived-places.ts'
import type { Program } from '../language/program.ts'
import type { Json, JsonObject } from '../language/values.ts'
import { MASK } from '../masking/mark.ts'
import { maskJson, maskText } from '../masking/mask.ts'
import { below, HIDDEN, hidesAnything } from '../masking/places.ts'
import type { Places } from '../masking/places.ts'
import { formsOf } from '../masking/secret-forms.ts'
import { mayNameSecret } from '../masking/secret-names.ts'
import { TextPatterns } from '../masking/text-patterns.ts'
import type { Execution } from './entities/execution.ts'

/** JSON text; `redacted`: JSON pointers to what was masked in it, each under the root that was given. */
export interface MaskedText {
  readonly text: string
  readonly redacted: readonly string[]
}

/** Which value of an execution: it says which of its places are hidden. */
export type Part = 'input' | 'output' | 'other' | { readonly step: string; readonly value: 'given' | 'output' | 'answer' }

/** Texts shorter than this, and numbers with fewer digits, are masked by their place alone: they stand everywhere. */
const LEAST_TEXT = 4
const LEAST_DIGITS = 6
/** Characters of all sensitive values of one execution: with more, whatever might hold one is hidden whole. */
const MOST_CHARACTERS = 100_000

export class ExecutionMask {
  readonly #places: DerivedPlaces | undefined
  readonly #patterns: TextPatterns | undefined
  readonly #isClosed: boolean
  /** about how much memory it takes */
  readonly size: number

  /** Without arguments: of a flow that marks nothing; texts under names of secrets are masked all the same. `isClosed`: all is hidden. */
  constructor(places?: DerivedPlaces, input?: Json, isClosed = false) {
    const values = places ? [...valuesAt(input ?? null, places.input)] : []
    const length = values.reduce((sum, value) => sum + value.length, 0)
    this.size = 1 + length
    this.#places = places
    this.#isClosed = isClosed || length > MOST_CHARACTERS
    if (values.length > 0 && !this.#isClosed) {
      this.#patterns = new TextPatterns(values.flatMap((value) => [value, ...formsOf(value)]))
    }
  }

  /** `root`: the pointer of the whole value. */
  json(part: Part, text: string, root: string): MaskedText {
    if (!this.#places && !this.#isClosed && !mayNameSecret(text)) return { text, redacted: [] }
    const given: unknown = JSON.parse(text)
    const { value, redacted } = this.value(part, given, root)
    return value === given ? { text, redacted: [] } : { text: JSON.stringify(value), redacted }
  }

  value(part: Part, value: unknown, root = ''): { value: unknown; redacted: string[] } {
    return maskJson(value, { patterns: this.#patterns, places: this.#isClosed ? HIDDEN : this.#placesOf(part) }, root)
  }

  /** An event of it, with where its data was masked. */
  event<Event extends { readonly data: Json }>(event: Event): Event & { redacted: readonly string[] } {
    const { value, redacted } = this.value('other', event.data, '/data')
    return { ...event, data: value as Json, redacted }
  }

  /** A message: an error, a reason, a subject. */
  text(text: string): string {
    return this.#isClosed ? MASK : maskText(text, { patterns: this.#patterns })
  }

  /** In a row of it that belongs to nobody else. */
  hideIn(execution: Pick<Execution, 'error' | 'reason' | 'cancelReason' | 'pauseReason'>): void {
    const hide = (text: string | null | undefined): string | null => (text == null ? null : this.text(text))
    const { error } = execution
    if (error) execution.error = { ...error, message: this.text(error.message) }
    execution.reason = hide(execution.reason)
    execution.cancelReason = hide(execution.cancelReason)
    execution.pauseReason = hide(execution.pauseReason)
  }

  #placesOf(part: Part): Places | undefined {
    if (!this.#places || part === 'other') return undefined
    if (typeof part === 'string') return this.#places[part]
    const { given, output } = this.#places.steps.get(part.step) ?? {}
    if (part.value === 'answer') return below(output, 'data')
    return part.value === 'given' ? given : output
  }
}

/** Of an execution with this input. */
export function maskOf(program: Program, input: JsonObject): ExecutionMask {
  const places = program.sensitive?.(input)
  if (!places) return NAMES_ONLY
  const derived = derivePlaces(program, places)
  const hides = hidesAnything(places) || derived.steps.size > 0
  return hides ? new ExecutionMask(derived, input) : NAMES_ONLY
}

/** Of a flow that marks nothing. */
export const NAMES_ONLY = new ExecutionMask()
/** Of a flow that marks something, when what was marked is not known any more. */
export const EVERYTHING = new ExecutionMask(undefined, undefined, true)

/** The texts and long numbers at hidden places. */
function* valuesAt(value: Json, places: Places | undefined): Generator<string> {
  if (!places) return
  if (typeof value === 'object' && value !== null) {
    for (const [key, inner] of Object.entries(value)) yield* valuesAt(inner, below(places, key))
  } else if (!places.hidden) return
  else if (typeof value === 'string' && value.trim().length >= LEAST_TEXT) yield value.trim()
  else if (typeof value === 'number' && String(value).replace(/\D/g, '').length >= LEAST_DIGITS) yield String(value)
}
