import fc from 'fast-check'
import { expect, test } from 'vitest'
import { cpuMs } from '../harness/cpu-time.ts'
import { startWork } from '../../src/language/budget.ts'
import { compileCondition, compileExpression, failureText } from '../../src/language/expressions.ts'
import type { JsonObject, Scope } from '../../src/language/values.ts'

const STEPS = new Set(['first', 'second'])
const scopeOf = (input: JsonObject): Scope => ({
  input,
  steps: { first: { status: 'SUCCEEDED', output: { n: 7 }, route: 'left' }, second: { status: 'SKIPPED' } },
  execution: { id: 'exec_1', startedAt: '2026-01-31T09:00:00.000Z' },
})

function evaluate(source: string, input: JsonObject = {}): unknown {
  const compiled = compileExpression(source, STEPS)
  if (!compiled.ok) throw new Error(compiled.problems.map(({ message }) => message).join('; '))
  startWork()
  try {
    return compiled.value.run(scopeOf(input))
  } catch (error) {
    throw new Error(failureText(error), { cause: error })
  }
}

const problemsOf = (source: string): string[] => {
  const compiled = compileExpression(source, STEPS)
  return compiled.ok ? [] : compiled.problems.map(({ code, message, hint }) => `${code} ${message}${hint ? ` (${hint})` : ''}`)
}

test.each<[string, JsonObject, unknown]>([
  ['input.x > 8', { x: 9 }, true],
  ['input.x > 8', { x: 9.5 }, true],
  ['input.estimated_cost > 1000000', { estimated_cost: 1_000_000 }, false],
  ['5 == 5.0', {}, true],
  ['input.x == 5', { x: 5 }, true],
  ['5 == input.x', { x: 5 }, true],
  ['input.x != 5', { x: 5.5 }, true],
  ['input.x + 1', { x: 1.5 }, 2.5],
  ['1 - input.x', { x: 3 }, -2],
  ['input.x * 2 / 4', { x: 3 }, 1.5],
  ['input.x % 2 == 1', { x: 3 }, true],
  ['size(input.list) + input.x', { list: [1, 2], x: 1 }, 3],
  ['size(input.list) == 2.0', { list: [1, 2] }, true],
  ['input.x in [1, 5]', { x: 5 }, true],
  ['7 / 2', {}, 3],
  ['-input.x', { x: 3 }, -3],
])('numbers of JSON and of the source work together: %s with %j is %j', (source, input, result) => {
  expect(evaluate(source, input)).toEqual(result)
})

test.each<[string, JsonObject, unknown]>([
  ['has(input.a.b)', { a: { b: 1 } }, true],
  ['has(input.a.b)', { a: {} }, false],
  ['has(steps.second.output) ? 1 : 2', {}, 2],
  ['steps.first.output.n', {}, 7],
  ['steps["first"].route', {}, 'left'],
  ['steps.second.status', {}, 'SKIPPED'],
  [
    'input.items.filter(i, i.ok).map(i, i.id)',
    {
      items: [
        { id: 1, ok: true },
        { id: 2, ok: false },
      ],
    },
    [1],
  ],
  ['input.name.matches("^a+$")', { name: 'aaa' }, true],
  ['input.name.matches("b")', { name: 'aba' }, true],
  ['{"a": [1, 2.5, null], "b": {"c": input}}', { x: 1 }, { a: [1, 2.5, null], b: { c: { x: 1 } } }],
  ['timestamp(execution.startedAt) + duration("36h")', {}, '2026-02-01T21:00:00.000Z'],
  ['duration("1h30m")', {}, 'PT1H30M'],
  ['cel.bind(a, input.x, a + a)', { x: 2 }, 4],
  ['"${{" + "}}"', {}, '${{}}'],
])('%s with %j is %j', (source, input, result) => {
  expect(evaluate(source, input)).toEqual(result)
})

test.each([
  ['steps.frist.output', 'UNKNOWN_STEP there is no step frist (did you mean "first"?)'],
  ['steps.first.outptu', 'INVALID_EXPRESSION a step has status, output, route and error, no outptu (did you mean "output"?)'],
  [
    'steps.first.n > 1',
    'INVALID_EXPRESSION a step has status, output, route and error, no n (what the step returns is steps.first.output)',
  ],
  ['steps[input.x]', 'INVALID_EXPRESSION steps is read by name: steps.NAME.output'],
  ['execution.ip', 'INVALID_EXPRESSION execution has no ip, only id, startedAt and error (did you mean "id"?)'],
  ['inputs.x', 'INVALID_EXPRESSION Unknown variable: inputs (at character 1) (did you mean "input"?)'],
  ['sizes(input.x)', 'UNKNOWN_FUNCTION there is no function sizes() (did you mean "size"?)'],
  ['input.x.startWith("a")', 'UNKNOWN_FUNCTION there is no method startWith() (did you mean "startsWith"?)'],
  [
    'input.a.matches(input.b)',
    'INVALID_EXPRESSION the pattern of matches() is a literal text, so that it is checked before it runs',
  ],
  ['99999999999999999999', 'INVALID_EXPRESSION the integer does not fit into 64 bits'],
  ['input.l.map(steps, 1)', 'INVALID_EXPRESSION steps cannot be the name of a variable'],
  ['', 'INVALID_EXPRESSION the expression is empty'],
])('the mistake in %j is found before anything runs', (source, problem) => {
  expect(problemsOf(source)).toEqual([problem])
})

test.each(
  [
    'eval("1")',
    'require("fs")',
    'input.constructor.constructor("x")()',
    'process.exit()',
    '(() => 1)()',
    'input.x = 1',
    '`${1}`',
    'b"abc".json()',
    'bytes("x")',
    '1u',
    'input.a.matches("(?=a)")',
    'input.a.matches("(a){1001}")',
    'optional.of(1)',
    `input.x == ${'9'.repeat(5000)}`,
    `${'('.repeat(2000)}1${')'.repeat(2000)}`,
    '!'.repeat(4000),
    `${'input.x + '.repeat(400)}1`,
    'input.a.map(x, input.a.map(y, input.a.map(z, 1)))',
  ].map((source) => [source.slice(0, 50), source] as const),
)('the expression %s is refused (C9)', (_, source) => {
  expect(problemsOf(source)).not.toEqual([])
})

test('prototypes cannot be reached or changed', () => {
  expect(() => evaluate('input.__proto__')).toThrow('there is no __proto__')
  expect(() => evaluate('input["constructor"]')).toThrow('there is no such key')
  const input = JSON.parse('{"__proto__": {"polluted": 1}}') as JsonObject
  const copy = evaluate('[input]', input) as object[]
  expect(Object.getPrototypeOf(copy[0])).toBe(Object.prototype)
  expect(JSON.stringify(copy[0])).toBe('{"__proto__":{"polluted":1}}')
  expect(evaluate('{"__proto__": 1}')).toEqual({})
})

test.each([
  ['9007199254740993', 'an integer beyond 2^53'],
  ['1.0 / 0', 'Infinity'],
  ['0.0 / 0.0', 'NaN'],
  ['int', 'a type'],
  ['type(1)', 'a type'],
  ['input.missing', 'there is no missing'],
  ['input.s + 1', 'no such overload'],
  ['5 / 0', 'division by zero'],
  ['5.0 % 0', 'modulo by zero'],
  ['9223372036854775807 + 1', 'numeric overflow'],
])('evaluating %s fails with a message: %s', (source, message) => {
  expect(() => evaluate(source, { s: 'secret' })).toThrow(message)
})

test('messages of failed evaluations quote no data', () => {
  const input = { s: 'hunter2', m: {}, l: [1] }
  for (const source of [
    'bool(input.s)',
    'int(input.s)',
    'input.m[input.s]',
    'input.s + 1',
    'timestamp(input.s)',
    'duration(input.s)',
    'input.l[9]',
  ]) {
    expect(() => evaluate(source, input)).toThrow(/^(?!.*hunter2)/)
  }
})

const big = (() => {
  const list = Array.from({ length: 40_000 }, (_, i) => i)
  const objects = Array.from({ length: 8_000 }, (_, i) => ({ id: i, name: `x${i}` }))
  const map = Object.fromEntries(list.slice(0, 20_000).map((i) => [`k${i}`, i]))
  const text = 'a'.repeat(400_000)
  return {
    list,
    list2: [...list],
    objects,
    objects2: structuredClone(objects),
    map,
    map2: { ...map },
    text,
    needle: `${'a'.repeat(100_000)}b${'a'.repeat(100_000)}`,
    texts: Array.from({ length: 2_000 }, (_, i) => `${'p'.repeat(200)}${i}`),
  }
})()

test.each(
  [
    'input.list.all(a, input.list.all(b, a >= 0 && b >= 0))',
    'input.list.map(a, input.list.map(b, a + b))',
    'input.list.exists(a, a.foo == 1)',
    'input.list.all(a, a.foo || a.bar)',
    'input.list.exists(a, input.map == input.map2 && a < 0)',
    'input.list.all(a, input.list == input.list2)',
    'input.objects.all(a, a in input.objects2)',
    'input.list.all(a, a in input.list)',
    'input.objects.all(a, input.objects.exists(b, b == a))',
    'input.text.contains(input.needle)',
    'input.needle.lastIndexOf(input.text)',
    'input.list.map(a, input.list)',
    'input.list.map(a, {"x": input.text, "y": input.objects})',
    'input.list.all(a, !(input.text + "b").matches("(a+)+c"))',
    'input.text.matches("(a?){100}a{100}z")',
    'input.list.all(a, size(input.map) > 0)',
    'input.list.all(a, input.map.all(k, k != ""))',
    'input.list.all(a, input.text.split("").size() > 0)',
    'input.list.all(a, input.texts.join(",") != "")',
    'input.texts.all(a, input.texts.all(b, a + b != "x"))',
    'input.list.all(a, timestamp(execution.startedAt).getHours("Europe/Paris") > 50 || true)',
    `${'cel.bind(a, '.repeat(12)}input.text${', a + a)'.repeat(12)}.size()`,
    `${'cel.bind(a, '.repeat(12)}input.list${', a + a)'.repeat(12)}`,
    `${'cel.bind(a, '.repeat(20)}input.list${', [a, a])'.repeat(20)}`,
  ].map((source) => [source.slice(0, 70), source] as const),
)('work is bounded: %s', (_, source) => {
  const compiled = compileExpression(source, STEPS)
  if (!compiled.ok) throw new Error(compiled.problems[0]!.message)
  const run = (): unknown => {
    startWork()
    return compiled.value.run(scopeOf(big))
  }
  const started = cpuMs()
  expect(run).toThrow('too much work')
  // About 100 ms at worst here; the bound leaves room for a machine that is busy with other tests.
  expect(cpuMs() - started).toBeLessThan(1_000)
})

test('ordinary work over large lists is within the budget', () => {
  expect(evaluate('input.list.filter(x, x > 5).map(x, {"v": x}).size()', big)).toBe(39_994)
  expect(evaluate('input.objects.filter(o, o.id > 7990).map(o, o.name).size()', big)).toBe(9)
})

test('a condition is true or false', () => {
  const compile = (source: string) => compileCondition(source, STEPS)
  expect(compile('1 + 1')).toMatchObject({ ok: false })
  const dynamic = compile('input.x')
  if (!dynamic.ok) throw new Error('should compile')
  expect(dynamic.value.condition.evaluate(scopeOf({ x: true }))).toEqual({ ok: true, value: true })
  expect(dynamic.value.condition.evaluate(scopeOf({ x: 1 }))).toEqual({ ok: false, message: 'a condition must be true or false' })
  expect(dynamic.value.condition.evaluate(scopeOf({}))).toEqual({ ok: false, message: 'there is no x' })
})

test('an evaluation that failed does not disturb the next one', () => {
  expect(() => evaluate('input.list.all(a, input.list.all(b, true))', big)).toThrow('too much work')
  expect(evaluate('input.x + 1', { x: 1 })).toBe(2)
})

test('compiling never throws, whatever the source', () => {
  const pieces = fc.constantFrom(
    'input',
    '.',
    'x',
    '(',
    ')',
    '[',
    ']',
    '{',
    '}',
    ' + ',
    ' ? ',
    ' : ',
    '"',
    "'",
    '1',
    '1.5',
    ',',
    '!',
    '-',
    'map',
    'has',
    'steps',
    'first',
    'cel.bind',
    '\\',
    '\n',
    ' in ',
    '&&',
  )
  const source = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(pieces, { maxLength: 30 }).map((parts) => parts.join('')),
  )
  fc.assert(
    fc.property(source, fc.jsonValue(), (text, x) => {
      const compiled = compileCondition(text, STEPS)
      if (compiled.ok) expect(typeof compiled.value.condition.evaluate(scopeOf({ x: x as never })).ok).toBe('boolean')
      else expect(compiled.problems.length).toBeGreaterThan(0)
    }),
    { numRuns: 1_000 },
  )
})
