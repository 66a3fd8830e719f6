/**
 * Texts of a step that hold secrets, as `${{ secrets.NAME }}`. They are constant besides: nothing that is computed stands beside a
 * secret, and a computed text that looks like a placeholder is none. The values come when the step runs, and are in no template.
 */
import { didYouMean } from '../nearest-name.ts'
import type { StepCompiler } from './step-language.ts'

/** One text and where it stands in the value that it was found in. */
export interface SecretText {
  readonly at: readonly string[]
  readonly parts: readonly (string | { readonly secret: string })[]
}

const PLACEHOLDER = /\$\{\{\s*secrets\.([A-Za-z0-9_]{1,64})\s*\}\}/

/** `value` with the names of secrets in place of the placeholders; every placeholder and every name of `secrets` needs the other. */
export function findSecretTexts<T>(
  value: T,
  secrets: readonly string[],
  compiler: StepCompiler,
): { value: T; found: SecretText[] } {
  const { issues, path } = compiler
  const found: SecretText[] = []
  const used = new Set<string>()

  const read = (text: string, at: readonly string[]): string => {
    if (!PLACEHOLDER.test(text)) return text
    // every second piece is a name
    const pieces = text.split(PLACEHOLDER)
    const parts = pieces.map((piece, i) => (i % 2 === 0 ? piece : { secret: piece }))
    for (const part of parts) {
      if (typeof part === 'string') {
        if (part.includes('${{'))
          issues.add('INVALID_EXPRESSION', [...path, ...at], 'a text with a secret has no other expressions', 'use another field')
        continue
      }
      used.add(part.secret)
      if (!secrets.includes(part.secret)) {
        const message = `${part.secret} is not among the secrets of the step`
        issues.add('INVALID_VALUE', [...path, ...at], message, () => didYouMean(part.secret, secrets))
      }
    }
    found.push({ at, parts })
    return parts.map((part) => (typeof part === 'string' ? part.replaceAll('${{', '') : `[secret ${part.secret}]`)).join('')
  }
  const walk = (inner: unknown, at: readonly string[]): unknown => {
    if (typeof inner === 'string') return read(inner, at)
    if (typeof inner !== 'object' || inner === null) return inner
    if (Array.isArray(inner)) return inner.map((item, i) => walk(item, [...at, String(i)]))
    return Object.fromEntries(Object.entries(inner).map(([key, item]) => [key, walk(item, [...at, key])]))
  }

  const without = walk(value, []) as T
  for (const [i, secret] of secrets.entries()) {
    if (!used.has(secret))
      issues.add(
        'INVALID_VALUE',
        [...path, 'secrets', String(i)],
        'no text of the step uses it',
        `write $\{{ secrets.${secret} }}`,
      )
  }
  return { value: without, found }
}
