import fc from 'fast-check'
import { expect, test } from 'vitest'
import { IssueList } from '../../src/language/issue-list.ts'
import type { Evaluated, Json, JsonObject, Scope } from '../../src/language/values.ts'
import { compileTemplate } from '../../src/language/template.ts'

const scope: Scope = {
  input: { name: 'Ada', n: 2, list: [1, 'b'], deep: { a: null }, text: 'x'.repeat(100_000) },
  steps: { first: { status: 'SUCCEEDED', output: { ok: true } } },
  execution: { id: 'exec_1', startedAt: '2026-01-31T09:00:00.000Z' },
}

function compile(value: Json): { evaluate: (scope: Scope) => Evaluated<Json>; issues: IssueList; reads: string[] } {
  const issues = new IssueList()
  const reads: string[] = []
  const template = compileTemplate(value, ['steps', 's', 'set'], {
    stepNames: new Set(['first']),
    issues,
    onPlaces: () => undefined,
    onRead: (step, path) => reads.push(`${step} at ${path.join('.')}`),
  })
  return { evaluate: (seen) => template.evaluate(seen), issues, reads }
}

test.each<[Json, Json]>([
  ['${{ input.n }}', 2],
  ['${{ input.list }}', [1, 'b']],
  ['${{input.deep}}', { a: null }],
  ['Hello ${{ input.name }}!', 'Hello Ada!'],
  ['${{ input.n }}${{ input.list }}', '2[1,"b"]'],
  [' ${{ input.n }}', ' 2'],
  ['${{ "}}" }}', '}}'],
  ['${{ {"a": {"b": 1}} }}', { a: { b: 1 } }],
  ["${{ 'it\\'s }}' + \"}}\" }}", "it's }}}}"],
  ['${{ """a"}}""" }}', 'a"}}'],
  ['costs $5 {{ and }}', 'costs $5 {{ and }}'],
  [{ a: ['${{ input.n + 1 }}', 1, null, { b: '${{ steps.first.output.ok }}' }] }, { a: [3, 1, null, { b: true }] }],
])('the template %j becomes %j', (template, result) => {
  const { evaluate, issues } = compile(template)
  expect(issues.issues).toEqual([])
  expect(evaluate(scope)).toEqual({ ok: true, value: result })
})

test('mistakes are told with the path of the text that has them', () => {
  const { issues } = compile({ a: ['${{ steps.nope.output }}', 'x ${{ 1 + }} y ${{ foo }}'], b: '${{ open' })
  expect(issues.issues.map(({ code, path }) => [code, path.join('.')])).toEqual([
    ['UNKNOWN_STEP', 'steps.s.set.a.0'],
    ['INVALID_EXPRESSION', 'steps.s.set.a.1'],
    ['INVALID_EXPRESSION', 'steps.s.set.a.1'],
    ['INVALID_EXPRESSION', 'steps.s.set.b'],
  ])
})

test('the steps that a template reads are told', () => {
  expect(compile({ a: 'x ${{ has(steps.first.output) }}' }).reads).toEqual(['first at steps.s.set.a'])
})

test('a failed evaluation names the field that failed', () => {
  expect(compile({ a: { b: '${{ input.nope }}' } }).evaluate(scope)).toEqual({ ok: false, message: 'set.a.b: there is no nope' })
})

test('a template that repeats its input thousands of times fails instead of growing', () => {
  const many = Object.fromEntries(Array.from({ length: 2_000 }, (_, i) => [`k${i}`, '${{ input }}']))
  expect(compile(many).evaluate(scope)).toMatchObject({ ok: false, message: expect.stringContaining('too much work') })
  const text = '${{ input.text }}'.repeat(2_000)
  expect(compile(text).evaluate(scope)).toMatchObject({ ok: false, message: expect.stringContaining('too much work') })
})

test('a value without expressions stays what it is', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      fc.pre(!JSON.stringify(value).includes('${{'))
      expect(compile(value as Json).evaluate(scope)).toEqual({ ok: true, value })
    }),
  )
})

test('a whole expression hands on any JSON value unchanged', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const input = { value } as JsonObject
      expect(compile('${{ input.value }}').evaluate({ ...scope, input })).toEqual({ ok: true, value })
      expect(compile(['${{ [input.value] }}']).evaluate({ ...scope, input })).toEqual({ ok: true, value: [[value]] })
    }),
  )
})
