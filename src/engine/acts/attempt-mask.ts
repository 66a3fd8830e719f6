/** What an attempt says to the world, without the secrets that it was given: by their values, and by what names and shapes tell (B9, C6). */
import { withoutSecrets } from '../../log-text.ts'
import { maskJson, maskText } from '../../masking/mask.ts'
import { formsOf } from '../../masking/secret-forms.ts'
import { mayNameSecret } from '../../masking/secret-names.ts'
import { TextPatterns } from '../../masking/text-patterns.ts'
import { HISTORY_LENGTH } from './reports.ts'
import type { LogLine, Progress } from './reports.ts'

/** By name; what a definition calls them. */
export type SecretValues = Readonly<Record<string, string>>

type Made = { ok: true; text: string; bytes: number }

/** Texts of handlers are cut at this length or at a larger one. */
const SHORTEST_CUT = 2_000

export class AttemptMask {
  readonly #patterns: TextPatterns | undefined

  readonly #hide: (text: string) => string

  constructor(secrets: SecretValues = {}, hide: (text: string) => string = (text) => text) {
    this.#hide = hide
    const values = Object.values(secrets)
    if (values.length > 0) this.#patterns = new TextPatterns(values.flatMap(formsOf))
  }

  /** Nothing that it takes away is ever stored. */
  outcome<Failure extends { ok: false; message: string }>(outcome: Made | Failure): Made | Failure {
    if (!outcome.ok) return { ...outcome, message: withoutSecrets(this.#text(outcome.message)) }
    if (!this.#patterns && !mayNameSecret(outcome.text)) return outcome
    const output: unknown = JSON.parse(outcome.text)
    const { value } = maskJson(output, { patterns: this.#patterns })
    if (value === output) return outcome
    const text = JSON.stringify(value)
    return { ok: true, text, bytes: Buffer.byteLength(text) }
  }

  /** A line for the log, a stack: what is sensitive is not in it either. */
  line(text: string): string {
    return this.#hide(this.#text(text))
  }

  /** What goes into the history: secrets are not in it; what the flow marks as sensitive is masked for whoever reads it there. */
  told<Said extends LogLine | Progress>(said: Said): Said {
    const message = said.message === undefined ? {} : { message: this.#toldText(said.message) }
    const fields = 'fields' in said && said.fields ? { fields: maskJson(said.fields, { patterns: this.#patterns }).value } : {}
    return { ...said, ...message, ...fields }
  }

  /** What will be cut is without it from the start: half of a value is not found again. */
  #toldText(text: string): string {
    const masked = withoutSecrets(this.#text(text))
    return masked.length > HISTORY_LENGTH ? this.#hide(masked) : masked
  }

  #text(text: string): string {
    return maskText(text, { patterns: this.#patterns }, { cut: text.length >= SHORTEST_CUT })
  }
}
