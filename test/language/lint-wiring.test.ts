import { expect, test } from 'vitest'
import { loadSqlParser } from '../../src/language/sql/sql-parser.ts'
import { validateDefinition } from '../../src/language/validate.ts'
import { allow, flowOf, step } from './example-definition.ts'

await loadSqlParser()

const warningsOf = (value: unknown): string[] => {
  const { issues, warnings } = validateDefinition(value, { ...allow, sources: new Set(['shop']) })
  expect(issues).toEqual([])
  return warnings.map(({ code, path, message, hint }) => `${path.join('.')} ${code}: ${message}${hint ? ` (${hint})` : ''}`)
}
const input = {
  type: 'object',
  properties: {
    order: {
      type: 'object',
      properties: { id: { type: 'integer' }, lines: { type: 'array', maxItems: 9, items: { $ref: '#/$defs/line' } } },
    },
    anything: {},
    open: { type: 'object', additionalProperties: { type: 'object', properties: { a: { type: 'string' } } } },
    either: { anyOf: [{ type: 'string' }, { type: 'object' }] },
    due: { type: 'string' },
    paid: { type: 'boolean' },
  },
  $defs: { line: { type: 'object', properties: { price: { type: 'number' } }, additionalProperties: false } },
}
const handler = (more: object = {}): object => ({ type: 'handler', handler: 'charge_card', ...more })

test('what an expression reads of the input must be in its schema', () => {
  const set = {
    a: '${{ input.ordr.id }}',
    b: '${{ input.order.id.value }}',
    c: 'line ${{ input.order.lines[0].prise }} of ${{ size(input.order.lines) }}',
    d: '${{ input.open.x.b }}',
    e: '${{ input.order.lines.map(line, line.nothing) }}',
  }
  expect(
    warningsOf(flowOf({ a: step({ set, when: 'input.pad && input.paid' }) }, { input, output: { o: '${{ input.oder }}' } })),
  ).toEqual([
    'steps.a.when UNKNOWN_PATH: input has no pad (did you mean "paid"?)',
    'steps.a.set.a UNKNOWN_PATH: input has no ordr (did you mean "order"?)',
    'steps.a.set.b UNKNOWN_PATH: input.order.id has no fields',
    'steps.a.set.c UNKNOWN_PATH: input.order.lines.0 has no prise (did you mean "price"?)',
    'steps.a.set.d UNKNOWN_PATH: input.open.x has no b',
    'output.o UNKNOWN_PATH: input has no oder (did you mean "order"?)',
  ])
})

test('what nobody can know is not warned of', () => {
  const set = {
    a: '${{ input.anything.at.all }}',
    b: '${{ input.open[input.due].a }}',
    c: '${{ input.either.x }}',
    d: '${{ input.order.lines[0].price }}',
    e: '${{ steps.call.output.whatever }}',
    f: '${{ has(steps.call.output.x) ? steps.call.route : steps.call.status }}',
  }
  expect(warningsOf(flowOf({ call: handler(), a: step({ after: ['call'], set }) }, { input }))).toEqual([])
  expect(warningsOf(flowOf({ a: step({ set: { a: '${{ input.x }}' } }) }))).toEqual([])
})

test('what a step returns is known by its type, or by what it says', () => {
  const returns = { type: 'object', properties: { receipt: { type: 'string' } } }
  const steps = {
    shape: step({ set: { name: 'x', inner: { n: 1 }, free: '${{ input }}' } }),
    ask: { type: 'agent', role: 'ceo', subject: '', request: null },
    rows: { type: 'query', source: 'shop', sql: 'select id from orders' },
    pay: handler({ returns }),
    each: { type: 'map', over: '${{ input.order.lines }}', step: handler({ returns }) },
    tell: step({
      after: ['shape', 'ask', 'rows', 'pay', 'each'],
      set: {
        a: '${{ steps.shape.output.nam }} ${{ steps.shape.output.inner.m }} ${{ steps.shape.output.free.x }}',
        b: '${{ steps.ask.output.decison }} ${{ steps.ask.output.data.x.y }}',
        c: '${{ steps.rows.output.row }} ${{ steps.rows.output.rows[0].id }}',
        d: '${{ steps.pay.output.recipt }}',
        e: '${{ steps.each.output.items[0].receipt }} ${{ steps.each.output.items[0].recept }} ${{ steps.each.output.total }}',
      },
    }),
  }
  expect(warningsOf(flowOf(steps, { input }))).toEqual([
    'steps.tell.set.a UNKNOWN_PATH: steps.shape.output has no nam (did you mean "name"?)',
    'steps.tell.set.a UNKNOWN_PATH: steps.shape.output.inner has no m',
    'steps.tell.set.b UNKNOWN_PATH: steps.ask.output has no decison (did you mean "decision"?)',
    'steps.tell.set.c UNKNOWN_PATH: steps.rows.output has no row (did you mean "rows"?)',
    'steps.tell.set.d UNKNOWN_PATH: steps.pay.output has no recipt (did you mean "receipt"?)',
    'steps.tell.set.e UNKNOWN_PATH: steps.each.output.items.0 has no recept (did you mean "receipt"?)',
    'steps.tell.set.e UNKNOWN_PATH: steps.each.output has no total',
  ])
})

test('a value must have the type that is wanted where it goes', () => {
  const steps = {
    each: { type: 'map', over: '${{ input.order }}', step: step() },
    nap: { type: 'wait', until: '${{ input.paid }}', timeout: 'P1D' },
    ok: step({ when: 'input.due' }),
    made: step({
      set: { n: '${{ input.due }}', m: '${{ input.order.id }}' },
      returns: { type: 'object', properties: { n: { type: 'number' }, m: { type: 'number' } } },
    }),
  }
  expect(warningsOf(flowOf(steps, { input }))).toEqual([
    'steps.each.over TYPE_MISMATCH: input.order is object, and array is wanted',
    'steps.nap.until TYPE_MISMATCH: input.paid is boolean, and string is wanted',
    'steps.ok.when TYPE_MISMATCH: input.due is string, and boolean is wanted',
    'steps.made.set.n TYPE_MISMATCH: input.due is string, and number is wanted',
  ])
})

test('what is read of the items of a map must be in the schema of its list, also in a map within', () => {
  const lists = {
    type: 'object',
    properties: {
      orders: {
        type: 'array',
        maxItems: 9,
        items: {
          type: 'object',
          properties: { id: { type: 'integer' }, lines: { type: 'array', maxItems: 9, items: { $ref: '#/$defs/line' } } },
        },
      },
      texts: { type: 'array', maxItems: 9, items: { type: 'string' } },
    },
    $defs: { line: input.$defs.line },
  }
  const inner = handler({ with: { a: '${{ item.prise }}', b: '${{ item.price }}' }, timeout: 'PT1S' })
  const steps = {
    each: { type: 'map', over: '${{ input.orders }}', step: { type: 'map', over: '${{ item.lines }}', step: inner } },
    once: {
      type: 'map',
      over: '${{ input.orders }}',
      step: handler({ with: { a: '${{ item.ids }}' }, when: 'item.id', timeout: 'PT1S' }),
    },
    wrong: {
      type: 'map',
      over: '${{ input.orders }}',
      step: { type: 'map', over: '${{ item.id }}', step: handler({ timeout: 'PT1S' }) },
    },
    texts: { type: 'map', over: '${{ input.texts }}', step: handler({ with: { a: '${{ item.length }}' }, timeout: 'PT1S' }) },
    names: step({ set: { over: '${{ input.texts[0] }}', when: '${{ input.texts[0] }}' } }),
    unknown: {
      type: 'map',
      over: '${{ input.orders.filter(o, o.id > 1) }}',
      step: handler({ with: { a: '${{ item.nothing }}' }, timeout: 'PT1S' }),
    },
  }
  expect(
    warningsOf(flowOf(steps, { input: lists }))
      .filter((text) => !text.includes('NO_EFFECT'))
      .toSorted(),
  ).toEqual([
    'steps.each.step.step.with.a UNKNOWN_PATH: input.orders.*.lines.* has no prise (did you mean "price"?)',
    'steps.once.step.when TYPE_MISMATCH: input.orders.*.id is integer, and boolean is wanted',
    'steps.once.step.with.a UNKNOWN_PATH: input.orders.* has no ids (did you mean "id"?)',
    'steps.texts.step.with.a UNKNOWN_PATH: input.texts.* has no fields',
    'steps.wrong.step.over TYPE_MISMATCH: input.orders.*.id is integer, and array is wanted',
  ])
})
