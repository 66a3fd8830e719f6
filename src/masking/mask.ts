/** Masking: JSON and text without the values, names and places that must not be seen. Copies what it changes, and only that. */
import { MASK } from './mark.ts'
import { below } from './places.ts'
import type { Places } from './places.ts'
import { isSecretName } from './secret-names.ts'
import type { Span, TextPatterns } from './text-patterns.ts'

export interface MaskRules {
  /** masked wherever they stand, also in keys and inside longer texts */
  readonly patterns?: TextPatterns | undefined
  /** masked whole */
  readonly places?: Places | undefined
}

export interface MaskedJson {
  readonly value: unknown
  /** JSON pointers (RFC 6901) to what was masked, at most 1,000, each under the given root */
  readonly redacted: string[]
}

const MOST_REDACTED = 1_000

/** `root`: the pointer of `value` itself, '' for a whole document. Texts under a key that names a secret are masked too. */
export function maskJson(value: unknown, { patterns, places }: MaskRules, root = ''): MaskedJson {
  const redacted: string[] = []
  const looked = patterns?.isEmpty === false ? patterns : undefined

  function hide(pointer: string): string {
    if (redacted.length < MOST_REDACTED) redacted.push(pointer)
    return MASK
  }

  function visit(inner: unknown, here: Places | undefined, named: boolean, pointer: string): unknown {
    if (here?.hidden && inner !== null) return hide(pointer)
    if (typeof inner === 'string') {
      if (named && inner !== '' && inner !== MASK) return hide(pointer)
      const spans = looked?.find(inner) ?? []
      return spans.length > 0 ? (hide(pointer), cover(inner, spans)) : inner
    }
    if (typeof inner === 'number') return looked && looked.find(String(inner)).length > 0 ? hide(pointer) : inner
    if (typeof inner !== 'object' || inner === null) return inner
    return Array.isArray(inner) ? visitList(inner as unknown[], here, named, pointer) : visitObject(inner, here, pointer)
  }

  function visitList(list: unknown[], here: Places | undefined, named: boolean, pointer: string): unknown {
    let copy: unknown[] | undefined
    for (const [at, inner] of list.entries()) {
      const masked = visit(inner, below(here, String(at)), named, `${pointer}/${at}`)
      if (masked !== inner) (copy ??= [...list])[at] = masked
    }
    return copy ?? list
  }

  function visitObject(object: object, here: Places | undefined, pointer: string): unknown {
    const fields: [string, unknown][] = []
    let changed = false
    for (const [key, inner] of Object.entries(object) as [string, unknown][]) {
      const name = looked ? cover(key, looked.find(key)) : key
      const masked = visit(inner, below(here, key), isSecretName(key), `${pointer}/${escapePointer(name)}`)
      changed ||= masked !== inner || name !== key
      fields.push([name, masked])
    }
    // fromEntries defines fields, so that a key `__proto__` in the data stays a key
    return changed ? Object.fromEntries(fields) : object
  }

  return { value: visit(value, places, false, root), redacted }
}

/** Of running text. `cut`: it may have been longer once, and may end within a value. */
export function maskText(text: string, { patterns }: MaskRules, { cut = false } = {}): string {
  return patterns && !patterns.isEmpty ? cover(text, patterns.find(text, { cut })) : text
}

function cover(text: string, spans: readonly Span[]): string {
  if (spans.length === 0) return text
  let covered = ''
  let end = 0
  for (const [from, to] of spans) {
    covered += text.slice(end, from) + MASK
    end = to
  }
  return covered + text.slice(end)
}

const escapePointer = (key: string): string => key.replaceAll('~', '~0').replaceAll('/', '~1')
