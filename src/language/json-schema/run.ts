/** One check of one value: where it stands, what it has found, what it may still cost, and which fields and items were looked at. */
import type { Issue } from '../../errors.ts'
import { IssueList, type IssueCode } from '../issue-list.ts'
import type { Json, JsonObject } from '../values.ts'

/** A compiled schema, or one keyword of it: whether the value fits. What does not fit is reported to `run`. */
export type Check = (value: Json, run: Run) => boolean

/** What checking a value may cost, in units of about 50 ns: subschemas entered, RE2 steps, keys and texts compared. */
const MAX_VISITS = 5_000_000
const MAX_ISSUES = 50
export const TOO_COSTLY = new Error('the schema takes too much work on this input')

/** A hint takes a search, so it is made for the issues that are told. */
interface Finding {
  readonly code: IssueCode
  readonly path: readonly string[]
  readonly message: string | undefined
  readonly hint: (() => string | undefined) | undefined
}

export class Run {
  readonly #path: (string | number)[]
  readonly #findings: Finding[] = []
  #left = MAX_VISITS
  /** in `not` and `if` only the verdict counts */
  #silent = 0
  /** what the schema around has looked at; undefined where nobody asks */
  seen: Seen | undefined

  constructor(root: string) {
    this.#path = [root]
  }

  /** Throws TOO_COSTLY when the value has cost too much. */
  pay(units: number): void {
    if ((this.#left -= units) < 0) throw TOO_COSTLY
  }

  /** Always false. `key`: a field of this value that it is about. */
  fail(code: IssueCode, message?: string, key?: string, hint?: () => string | undefined): false {
    if (this.#silent > 0 || this.#findings.length >= MAX_ISSUES) return false
    const path = key === undefined ? this.#path.map(String) : [...this.#path.map(String), key]
    this.#findings.push({ code, path, message, hint })
    return false
  }

  below(check: Check, value: Json, key: string | number): boolean {
    const { seen } = this
    this.seen = undefined
    this.#path.push(key)
    const fits = check(value, this)
    this.#path.pop()
    this.seen = seen
    return fits
  }

  /** What it looked at counts only if the value fits. */
  apart(check: Check, value: Json): boolean {
    const { seen } = this
    if (!seen) return check(value, this)
    const own = (this.seen = new Seen())
    const fits = check(value, this)
    this.seen = seen
    if (fits) seen.add(own)
    return fits
  }

  silently(check: Check, value: Json): boolean {
    this.#silent++
    const fits = this.apart(check, value)
    this.#silent--
    return fits
  }

  /** Whether each one fits. All are tried, as long as somebody reads what is wrong. */
  all<T>(list: readonly T[], fits: (one: T, i: number) => boolean): boolean {
    this.pay(list.length / 10)
    let every = true
    for (let i = 0; i < list.length; i++) {
      if (fits(list[i]!, i)) continue
      every = false
      if (this.#silent > 0) break
    }
    return every
  }

  /** For `forget`: what was found after it is none when another branch fits. */
  get found(): number {
    return this.#findings.length
  }

  forget(found: number): void {
    this.#findings.length = found
  }

  get issues(): Issue[] {
    const list = new IssueList()
    for (const { code, path, message, hint } of this.#findings) list.add(code, path, message, hint)
    return list.issues
  }
}

/** The fields and items of one value that a schema has looked at: `unevaluated...` is about the others. */
export class Seen {
  #all = false
  readonly #keys = new Set<string | number>()
  #first = 0

  has(key: string | number): boolean {
    return this.#all || this.#keys.has(key) || (typeof key === 'number' && key < this.#first)
  }

  mark(key: string | number): void {
    this.#keys.add(key)
  }

  markFirst(items: number): void {
    this.#first = Math.max(this.#first, items)
  }

  markAll(): void {
    this.#all = true
  }

  add(other: Seen): void {
    if (other.#all) this.#all = true
    for (const key of other.#keys) this.#keys.add(key)
    this.markFirst(other.#first)
  }

  /** How many items at the beginning were looked at, one after the other. */
  get first(): number {
    let first = this.#first
    while (this.#keys.has(first)) first++
    return first
  }
}

/** What keywords are compiled with. */
export interface Context {
  /** the schema that the keyword stands in */
  readonly schema: JsonObject
  /** one that stands inside of it */
  compile(schema: Json): Check
  /** one that a reference leads to */
  refer(reference: string): Check
}
/** From the value of a keyword, of a type that its rules have checked, to what it checks; undefined: nothing. */
export type Keyword = (value: never, context: Context) => Check | undefined
