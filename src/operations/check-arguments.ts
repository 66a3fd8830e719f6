/** Checks of the plain arguments that several use cases take: texts, labels, numbers. Each adds to one list of issues. */
import { problem } from '../errors.ts'
import type { Issue, Problem } from '../errors.ts'

const MAX_LABELS = 20
const MAX_LABEL_KEY = 63
const MAX_LABEL_VALUE = 255
export const MAX_KEY = 200
export const MAX_REASON = 500

/** PostgreSQL stores neither NUL nor half a character. */
export const isStorableText = (text: string): boolean => !text.includes('\0') && text.isWellFormed()

/** Control characters would hide in logs and terminals. */
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/

/** Collects what is wrong with the arguments of one call; `problem` is undefined while nothing is. */
export class ArgumentCheck {
  readonly issues: Issue[] = []

  get problem(): Problem | undefined {
    return this.issues.length > 0 ? problem('VALIDATION', { issues: this.issues }) : undefined
  }

  add(code: string, path: string[], message: string, hint?: string): void {
    this.issues.push({ code, path, message, ...(hint !== undefined && { hint }) })
  }

  /** One line of 1 to `max` characters; undefined passes. */
  line(path: string[], text: string | undefined, max: number): void {
    if (text === undefined) return
    const length = [...text.slice(0, 2 * max + 1)].length
    if (length < 1 || length > max) return this.add('INVALID_LENGTH', path, `It must have 1 to ${max} characters.`)
    if (CONTROL.test(text) || !text.isWellFormed())
      this.add('INVALID_VALUE', path, 'It must not hold control characters or half characters.')
  }

  /** At most `max` characters, of any number of lines; undefined passes. */
  text(path: string[], text: string | undefined, max: number): void {
    if (text === undefined) return
    if ([...text.slice(0, 2 * max + 1)].length > max)
      return this.add('INVALID_LENGTH', path, `It must have at most ${max} characters.`)
    if (!isStorableText(text)) this.add('INVALID_VALUE', path, 'It must not hold NUL or half characters.')
  }

  whole(path: string[], value: number | undefined, min: number, max: number): void {
    if (value === undefined || (Number.isInteger(value) && value >= min && value <= max)) return
    this.add('INVALID_VALUE', path, `It must be a whole number from ${min} to ${max}.`)
  }

  labels(path: string[], labels: readonly Label[] | undefined): void {
    if (!labels) return
    if (labels.length > MAX_LABELS) return this.add('TOO_LARGE', path, `At most ${MAX_LABELS} labels are allowed.`)
    const seen = new Set<string>()
    labels.forEach(({ key, value }, at) => {
      this.line([...path, String(at), 'key'], key, MAX_LABEL_KEY)
      this.line([...path, String(at), 'value'], value, MAX_LABEL_VALUE)
      if (seen.has(key)) this.add('DUPLICATE', [...path, String(at), 'key'], 'It is named twice.')
      seen.add(key)
    })
  }
}

/** A key-value tag on an execution. */
export interface Label {
  key: string
  value: string
}
