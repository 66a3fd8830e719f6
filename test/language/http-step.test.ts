/** The language of `http` steps: what values can do to a URL, where secrets may stand, what of a request is sensitive. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compile } from '../../src/language/compile.ts'
import { derivePlaces } from '../../src/language/derived-places.ts'
import type { Program } from '../../src/language/program.ts'
import type { HttpSpec } from '../../src/language/steps/http.ts'
import type { Evaluated, Json, JsonObject } from '../../src/language/values.ts'
import { MASK } from '../../src/masking/mark.ts'
import { maskJson } from '../../src/masking/mask.ts'
import { findSecretTexts } from '../../src/language/steps/secret-texts.ts'
import type { StepCompiler } from '../../src/language/steps/step-language.ts'
import { IssueList } from '../../src/language/issue-list.ts'

const allow = { roles: new Set<string>(), handlers: new Set<string>() }

function programOf(call: JsonObject, input: JsonObject = {}): Program {
  const compiled = compile({ name: 'f', input, steps: { call: { type: 'http', ...call } } }, allow)
  if ('issues' in compiled) throw new Error(JSON.stringify(compiled.issues))
  return compiled.program
}
const specOf = (call: JsonObject): HttpSpec => programOf(call).step('call')!.spec as HttpSpec

function requestOf(call: JsonObject, input: JsonObject): Evaluated<JsonObject> {
  const execution = { id: 'exec_1', startedAt: '2026-01-31T09:00:00.000Z' }
  return specOf(call).request.evaluate({ input, steps: {}, execution }) as Evaluated<JsonObject>
}

describe('a URL', () => {
  const url = 'https://api.example.com/users/${{ input.a }}/x-${{ input.b }}?q=${{ input.a }}&n=${{ input.n }}#${{ input.b }}'
  const value = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string(),
    fc.constantFrom('../', '..\\', '%2e%2e', '//evil.example', '?a=b', '#', '@evil.example', '\r\nx: y', '\ud800', ';', ':80'),
  )

  test('keeps its origin and its parts, whatever is put into it (D3)', () => {
    fc.assert(
      fc.property(value, value, fc.integer(), (a, b, n) => {
        const made = requestOf({ url }, { a, b, n })
        if ([a, b].some((one) => one === '.' || one === '..')) return !made.ok
        if (!made.ok) return false
        const parsed = new URL(made.value['url'] as string)
        expect(parsed.origin).toBe('https://api.example.com')
        expect(parsed.username).toBe('')
        expect(parsed.pathname.split('/').slice(1).map(decodeURIComponent)).toEqual([
          'users',
          a.toWellFormed(),
          `x-${b.toWellFormed()}`,
        ])
        expect([...parsed.searchParams]).toEqual([
          ['q', a.toWellFormed()],
          ['n', String(n)],
        ])
        return true
      }),
    )
  })

  test('that is one whole expression is what that gives', () => {
    const made = requestOf({ url: '${{ input.url }}' }, { url: 'http://a.example/b/../c?d=e' })
    expect(made).toMatchObject({ ok: true, value: { url: 'http://a.example/b/../c?d=e' } })
  })

  test('is a text, whatever the expression gives', () => {
    expect(requestOf({ url: '${{ input.n }}' }, { n: 5 })).toMatchObject({ ok: true, value: { url: '5' } })
  })
})

describe('what is sensitive in the input (B9)', () => {
  test('hides the whole URL and header that it is put into, and of the body its own place', () => {
    const schema = { type: 'object', properties: { ssn: { type: 'string', sensitive: true }, name: { type: 'string' } } }
    const call = {
      url: 'https://api.example.com/${{ input.ssn }}/${{ input.name }}',
      query: { name: '${{ input.name }}', ssn: '${{ input.ssn }}' },
      headers: { a: 'for ${{ input.ssn }}', b: '${{ input.name }}' },
      body: { all: '${{ input }}', n: 1 },
    }
    const input = { ssn: '123-45-6789', name: 'Ada' }
    const program = programOf(call, schema)
    const places = derivePlaces(program, program.sensitive!(input)).steps.get('call')!.given!
    const made = requestOf(call, input)
    expect(made.ok && maskJson(made.value, { places }).value).toEqual({
      method: 'POST',
      url: MASK,
      query: { name: 'Ada', ssn: MASK },
      headers: { a: MASK, b: 'Ada' },
      body: { all: { ssn: MASK, name: 'Ada' }, n: 1 },
    })
  })
})

describe('a text with secrets', () => {
  const read = (value: Json, secrets: string[]) => {
    const issues = new IssueList()
    const compiler = { issues, path: ['steps', 's'] } as unknown as StepCompiler
    return { ...findSecretTexts(value, secrets, compiler), issues: issues.issues.map(({ path }) => path.slice(2).join('.')) }
  }

  test('keeps what stands around them, several too, and shows their names', () => {
    expect(read({ a: ['${{ secrets.x }}:${{secrets.y}}!', 'none'], b: { c: 1 } }, ['x', 'y'])).toEqual({
      value: { a: ['[secret x]:[secret y]!', 'none'], b: { c: 1 } },
      found: [{ at: ['a', '0'], parts: ['', { secret: 'x' }, ':', { secret: 'y' }, '!'] }],
      issues: [],
    })
  })

  test('holds nothing that is computed', () => {
    expect(read({ a: '${{ secrets.x }}${{ input.b }}' }, ['x']).issues).toEqual(['a'])
    expect(read({ a: '${{ secrets.x }}', b: '${{ input.b }}' }, ['x']).issues).toEqual([])
  })

  test('and the list of secrets name each other', () => {
    expect(read({ a: '${{ secrets.x }}' }, []).issues).toEqual(['a'])
    expect(read({ a: 'none' }, ['x']).issues).toEqual(['secrets.0'])
  })

  test('is a placeholder in this form alone: everything else stays an expression, which knows no secrets', () => {
    for (const text of ['${{ secrets["x"] }}', '${{ secrets.x + "" }}', '${{ string(secrets.x) }}', '${{ [secrets.x] }}']) {
      expect(read({ a: text }, ['x']).issues).toEqual(['secrets.0'])
      expect(
        compile({ name: 'f', steps: { call: { type: 'http', url: 'https://a.example/', body: text } } }, allow),
      ).toMatchObject({
        issues: [{ code: 'INVALID_EXPRESSION' }],
      })
    }
  })
})

test('a call takes GET without a body and POST with one, and times and attempts of its own (E3)', () => {
  const url = 'https://a.example/'
  expect(specOf({ url })).toMatchObject({ method: 'GET', expect: ['2xx'], maxBytes: 1_000_000, atMostOnce: false })
  expect(specOf({ url, body: null })).toMatchObject({ method: 'POST' })
  const step = programOf({ url }).step('call')!
  expect(step.timeoutMs).toBe(30_000)
  expect(step.retry).toMatchObject({ attempts: 3, firstDelayMs: 500, factor: 2, on: ['HTTP_NETWORK', 'TIMEOUT', 'CIRCUIT_OPEN'] })
  expect(programOf({ url, timeout: 'P1D', retry: { attempts: 5 } }).step('call')).toMatchObject({
    timeoutMs: 3_600_000,
    retry: { attempts: 5, on: ['HTTP_NETWORK', 'TIMEOUT', 'CIRCUIT_OPEN'] },
  })
})
