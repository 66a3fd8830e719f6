import fc from 'fast-check'
import { expect, test } from 'vitest'
import { cpuMs } from '../harness/cpu-time.ts'
import { compile } from '../../src/language/compile.ts'
import { MAX_ISSUES } from '../../src/language/issue-list.ts'
import { validateDefinition } from '../../src/language/validate.ts'
import { allow, flowOf, step } from './example-definition.ts'

const issuesOf = (value: unknown): string[] =>
  validateDefinition(value, allow).issues.map(({ code, path, hint }) => `${path.join('.')} ${code}${hint ? ` (${hint})` : ''}`)
const warningsOf = (value: unknown): string[] => {
  const { issues, warnings } = validateDefinition(value, allow)
  expect(issues).toEqual([])
  return warnings.map(({ code, path }) => `${path.join('.')} ${code}`)
}
const withName = (name: unknown): Record<string, unknown> => ({ name, steps: { a: step() } })

test('every problem of a definition is told at once, each with its path (C3)', () => {
  const definition = {
    name: ' a/b ',
    descripton: 'x',
    version: 2,
    participants: ['ceo', 'ceoo'],
    input: { type: 'object', properties: { b: { type: 'string', pattern: '(?=x)' } } },
    steps: {
      a: { type: 'transfrm', after: ['nowhere'] },
      b: step({ set: { x: '${{ steps.zz.output }}', y: '${{ foo( }}' } }),
      c: {
        type: 'route',
        after: ['d', 'c', 'b', 'b'],
        cases: [
          { when: '1 + 1', to: 'ok' },
          { when: '${{ true }}', to: 'x y' },
        ],
      },
      d: { type: 'agent', role: 'ceoo', subject: 'x', request: {}, after: ['c'], timeout: 'P1Y' },
      e: { type: 'handler', handler: 'charge_crd', on: 'c:okk', retry: { attempts: 0, on: ['TIMEOUTS'] } },
      f: { type: 'wait' },
      g: { type: 'notify', roles: ['ceo'], on: 'b:x' },
      h: 5,
      'i-j': step(),
    },
    timeout: '30',
  }
  expect(issuesOf(definition).toSorted()).toEqual(
    [
      'version INVALID_VALUE',
      'name INVALID_VALUE',
      'descripton UNKNOWN_FIELD (did you mean "description"?)',
      'participants.1 UNKNOWN_ROLE (did you mean "ceo"?)',
      'input.properties.b.pattern INVALID_SCHEMA (patterns are RE2: no look-around, no back references)',
      'steps.a.type UNKNOWN_STEP_TYPE (did you mean "transform"?)',
      'steps.a.after.0 UNKNOWN_STEP',
      'steps.b.set.x UNKNOWN_STEP',
      'steps.b.set.y INVALID_EXPRESSION',
      'steps.c CYCLE',
      'steps.c.after.1 SELF_REFERENCE',
      'steps.c.after.3 DUPLICATE',
      'steps.c.cases.0.when INVALID_EXPRESSION',
      'steps.c.cases.1.when INVALID_EXPRESSION (leave out the ${{ }})',
      'steps.c.cases.1.to INVALID_NAME',
      'steps.d.role UNKNOWN_ROLE (did you mean "ceo"?)',
      'steps.d.timeout INVALID_DURATION (like PT30S, PT1H30M or P7D; at most P3650D)',
      'steps.e.on UNKNOWN_ROUTE (did you mean "ok"?)',
      'steps.e.handler UNKNOWN_HANDLER (did you mean "charge_card"?)',
      'steps.e.retry.attempts INVALID_VALUE',
      'steps.f INVALID_VALUE',
      'steps.g.on NOT_A_ROUTER',
      'steps.g.message REQUIRED',
      'steps.h INVALID_TYPE',
      'steps.i-j INVALID_NAME',
      'timeout INVALID_DURATION (like PT30S, PT1H30M or P7D; at most P3650D)',
    ].toSorted(),
  )
})

test.each([
  ['', 'INVALID_VALUE'],
  ['   ', 'INVALID_VALUE'],
  ['a/b', 'INVALID_VALUE'],
  ['a\nb', 'INVALID_VALUE'],
  ['a\u0007', 'INVALID_VALUE'],
  ['a\u202eb', 'INVALID_VALUE'],
  ['x'.repeat(101), 'INVALID_VALUE'],
  [5, 'INVALID_TYPE'],
  [undefined, 'REQUIRED'],
])('the flow name %j is refused (B5)', (name, code) => {
  expect(issuesOf(withName(name))).toEqual([`name ${code}`])
})

test.each(["'; DROP TABLE workflows; --", 'x'.repeat(100), '😀'.repeat(100), 'Genehmigung für Käufe'])(
  'the flow name %j is legal (B5, B6)',
  (name) => {
    expect(validateDefinition(withName(name), allow).definition?.name).toBe(name)
  },
)

test('a flow name is trimmed (B5)', () => {
  expect(validateDefinition(withName('  tea  '), allow).definition?.name).toBe('tea')
})

test('descriptions have at most 500 characters (B5)', () => {
  expect(issuesOf({ ...withName('a'), description: 'é'.repeat(500) })).toEqual([])
  expect(issuesOf({ ...withName('a'), description: 'é'.repeat(501) })).toEqual(['description INVALID_VALUE'])
})

test('only registered step types, roles and handlers can be named (A1, A2)', () => {
  expect(issuesOf(flowOf({ a: { type: 'shell', command: 'ls' } }))).toEqual(['steps.a.type UNKNOWN_STEP_TYPE'])
  expect(issuesOf(flowOf({ a: { type: 'constructor' } }))).toEqual(['steps.a.type UNKNOWN_STEP_TYPE'])
  expect(issuesOf(flowOf({ a: { type: 'handler', handler: 'rm_rf' } }))).toEqual(['steps.a.handler UNKNOWN_HANDLER'])
  expect(issuesOf(flowOf({ a: { type: 'notify', roles: ['janitor_x'], message: '' } }))).toEqual(['steps.a.roles.0 UNKNOWN_ROLE'])
})

test('names that only look like another are refused (C3)', () => {
  expect(issuesOf(flowOf({ analyze: step(), ａnalyze: step() }))).toEqual([
    'steps.ａnalyze INVALID_NAME (did you mean "analyze"?)',
  ])
  expect(issuesOf(flowOf({ ['x'.repeat(65)]: step() }))).toEqual([`steps.${'x'.repeat(65)} INVALID_NAME`])
})

test.each([
  'eval("x")',
  'a; require("fs")',
  '__import__("os")',
  'process.env.SECRET',
  'x.constructor("return 1")',
  'exec("ls")',
  'new Function("x")',
])('the code-like text %j is refused in steps, output and metadata (C3)', (text) => {
  const definition = flowOf({ a: step({ set: { x: text } }) }, { metadata: { note: [text] }, output: { o: text } })
  expect(issuesOf(definition)).toEqual(
    expect.arrayContaining([
      'steps.a.set.x FORBIDDEN_CONTENT',
      'metadata.note.0 FORBIDDEN_CONTENT',
      'output.o FORBIDDEN_CONTENT',
    ]),
  )
})

test.each([
  'Review the process.',
  'The executive (CEO) requires an evaluation',
  'import the data',
  'a prototype of it',
  '${{ input.process.name }}',
])('the words %j are not code (C3)', (text) => {
  expect(issuesOf(flowOf({ a: step({ set: { x: text } }) }, { metadata: { text: text.replace('$', '') } }))).toEqual([])
})

test('prototype keys are refused wherever they stand (C3)', () => {
  const definition: unknown = JSON.parse(
    '{"name":"x","metadata":{"a":[{"__proto__":1}]},"input":{"properties":{"constructor":{}}},"steps":{"__proto__":{},"prototype":{},"a":{"type":"transform","set":{"prototype":1}}}}',
  )
  expect(issuesOf(definition)).toEqual([
    'metadata.a.0.__proto__ FORBIDDEN_KEY',
    'input.properties.constructor FORBIDDEN_KEY',
    'steps.__proto__ FORBIDDEN_KEY',
    'steps.prototype FORBIDDEN_KEY',
    'steps.a.set.prototype FORBIDDEN_KEY',
  ])
})

test('references are checked: unknown, own, doubled, too few, routes that do not exist (A13, D9)', () => {
  const router = { type: 'route', cases: [{ when: 'true', to: 'left' }], otherwise: 'right' }
  expect(
    issuesOf(
      flowOf({
        r: router,
        a: step({ after: { any: ['b', 'analyse'] } }),
        analyze: step({ after: { atLeast: 3, of: ['r', 'a'] } }),
        b: step({ on: 'r:up' }),
        c: step({ on: 'rr:left' }),
        d: step({ on: 'r' }),
        e: step({ after: ['e'] }),
        f: step({ on: 'a:left' }),
      }),
    ),
  ).toEqual([
    'steps.a.after.any.1 UNKNOWN_STEP (did you mean "analyze"?)',
    'steps.analyze.after.atLeast INVALID_VALUE',
    'steps.b.on UNKNOWN_ROUTE',
    'steps.c.on UNKNOWN_STEP',
    'steps.d.on INVALID_VALUE',
    'steps.e.after.0 SELF_REFERENCE',
    'steps.f.on NOT_A_ROUTER',
  ])
})

test('a cycle is named', () => {
  const { issues } = validateDefinition(
    flowOf({ a: step({ after: ['c'] }), b: step({ after: ['a'] }), c: step({ after: ['b'] }) }),
    allow,
  )
  expect(issues).toEqual([{ code: 'CYCLE', path: ['steps', 'a'], message: 'these steps wait for each other: a -> b -> c -> a' }])
})

test('warnings tell what will run but was hardly meant', () => {
  expect(
    warningsOf(
      flowOf(
        {
          r: {
            type: 'route',
            cases: [
              { when: 'input.x', to: 'left' },
              { when: 'input.y', to: 'right' },
              { when: 'input.z', to: 'up' },
            ],
          },
          left: step({ on: 'r:left', timeout: 'PT1S', retry: { attempts: 2 } }),
          right: step({ on: 'r:right', set: { x: '${{ has(steps.left.output) }}' } }),
          both: step({ after: ['left', 'right'] }),
          ask: { type: 'agent', role: 'ceo', subject: '', request: null, timeout: 'PT1H' },
        },
        { participants: ['cto'], input: { properties: { x: { minimum: 5 } } } },
      ),
    ).toSorted(),
  ).toEqual(
    [
      'input.properties LOOSE_SCHEMA',
      'input.properties.x.minimum LOOSE_SCHEMA',
      'steps.r NO_OTHERWISE',
      'steps.r ROUTE_UNHEARD',
      'steps.r.cases.1.when UNKNOWN_PATH',
      'steps.r.cases.2.when UNKNOWN_PATH',
      'steps.left.timeout NO_EFFECT',
      'steps.left.retry NO_EFFECT',
      'steps.right.set.x NOT_UPSTREAM',
      'steps.both UNREACHABLE',
      'steps.ask NOT_A_PARTICIPANT',
      'steps.ask.timeout CAPPED',
    ].toSorted(),
  )
})

test('a definition is bounded in size, depth and number of steps', () => {
  expect(issuesOf(flowOf({ a: step() }, { metadata: { x: 'y'.repeat(262_144) } }))).toEqual([' TOO_LARGE'])
  let deep: unknown = 1
  for (let i = 0; i < 60; i++) deep = { a: deep }
  expect(issuesOf(flowOf({ a: step() }, { metadata: deep })).map((issue) => issue.split(' ').at(-1))).toEqual(['TOO_DEEP'])
  for (let i = 0; i < 100_000; i++) deep = [deep]
  expect(issuesOf(deep)).toEqual([' NOT_JSON'])
  const many = Object.fromEntries(Array.from({ length: 501 }, (_, i) => [`s${i}`, step()]))
  expect(issuesOf(flowOf(many))).toEqual(['steps INVALID_VALUE'])
  expect(issuesOf(flowOf({}))).toEqual(['steps INVALID_VALUE'])
})

test('500 steps in a row, each reading the one before, are validated in good time', () => {
  const steps = Object.fromEntries(
    Array.from({ length: 500 }, (_, i) => [
      `s${i}`,
      i === 0 ? step() : step({ after: [`s${i - 1}`], set: { x: `\${{ has(steps.s${i - 1}.output) }}` } }),
    ]),
  )
  const started = cpuMs()
  expect(warningsOf(flowOf(steps))).toEqual([])
  expect(cpuMs() - started).toBeLessThan(2_000)
})

test('a thousand mistakes are told as a hundred', () => {
  const steps = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`s-${i}`, { type: 'nope', [`x${i}`]: 1 }]))
  expect(issuesOf(flowOf(steps))).toHaveLength(MAX_ISSUES)
})

test('issues quote only short pieces of what was sent', () => {
  const { issues } = validateDefinition(
    flowOf({ ['x'.repeat(10_000)]: step({ after: ['y'.repeat(199)] }), a: { type: 'z'.repeat(5_000) } }),
    allow,
  )
  expect(issues.length).toBeGreaterThan(2)
  expect(JSON.stringify(issues).length).toBeLessThan(3_000)
})

const keys = fc.constantFrom(
  'name',
  'steps',
  'type',
  'set',
  'after',
  'on',
  'when',
  'cases',
  'to',
  'a',
  'b',
  'input',
  'output',
  'any',
  'of',
  'role',
  'retry',
  '__proto__',
)
const leaf = fc.constantFrom<unknown>(
  'transform',
  'route',
  'agent',
  'a',
  'b',
  'a:b',
  '${{ steps.a.output }}',
  '${{',
  'true',
  'PT1S',
  'ceo',
  null,
  1,
  true,
)
const nearDefinition = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'medium' },
    leaf,
    fc.jsonValue({ maxDepth: 1 }),
    tie('object'),
    fc.array(tie('value'), { maxLength: 4 }),
  ),
  object: fc.dictionary(keys, tie('value'), { maxKeys: 6 }),
})).object

test('validating never throws, whatever the value', () => {
  const asFlow = nearDefinition.map((steps) => ({ name: 'x', steps }))
  fc.assert(
    fc.property(fc.oneof(fc.anything(), fc.jsonValue(), nearDefinition, asFlow), (value) => {
      const { issues, definition } = validateDefinition(value, allow)
      expect(issues.length === 0).toBe(definition !== undefined)
      expect(issues.length).toBeLessThanOrEqual(MAX_ISSUES)
    }),
    { numRuns: 1_000 },
  )
})

test('a definition that is valid always compiles, and is the same when it was stored in between', () => {
  const name = fc.constantFrom('a', 'b', 'c', 'd', 'r')
  const common = fc.record(
    {
      after: fc.oneof(
        fc.uniqueArray(name, { maxLength: 2 }),
        fc.record({ any: fc.uniqueArray(name, { minLength: 1, maxLength: 3 }) }),
      ),
      on: fc.constantFrom('r:x', 'r:y'),
      when: fc.constantFrom('input.x > 1', 'has(steps.a.output)'),
      timeout: fc.constantFrom('PT1S', 'P1D'),
      retry: fc.record({ attempts: fc.integer({ min: 1, max: 5 }), delay: fc.constant('PT1S') }),
    },
    { requiredKeys: [] },
  )
  const own = fc.constantFrom<object>(
    step({ set: { x: '${{ input }}' } }),
    { type: 'wait', duration: 'PT1S' },
    { type: 'fail', message: 'no ${{ input.x }}' },
    { type: 'agent', role: 'ceo', subject: 's', request: {} },
    { type: 'handler', handler: 'send_mail' },
  )
  const router = { type: 'route', cases: [{ when: 'true', to: 'x' }], otherwise: 'y' }
  const flows = fc
    .dictionary(
      fc.constantFrom('a', 'b', 'c', 'd'),
      fc.tuple(common, own).map(([fields, rest]) => ({ ...fields, ...rest })),
      { minKeys: 1 },
    )
    .map((steps) => flowOf({ ...steps, r: router }))
  let valid = 0
  fc.assert(
    fc.property(flows, (value) => {
      const { definition } = validateDefinition(value, allow)
      if (!definition) return
      valid++
      expect(compile(definition, allow)).toHaveProperty('program')
      expect(validateDefinition(JSON.parse(JSON.stringify(definition)), allow).definition).toEqual(definition)
    }),
    { numRuns: 500 },
  )
  expect(valid).toBeGreaterThan(20)
})

test('what becomes of a failure, and what undoes a step, is checked like the rest, each problem with its path (C3)', () => {
  const undo = { type: 'handler', handler: 'charge_card' }
  expect(
    issuesOf(
      flowOf({
        a: step({ onError: { goto: 'nowhere' } }),
        b: step({ onError: { goto: 'b' } }),
        c: step({ onError: 'ignore' }),
        d: { type: 'fail', message: 'no', onError: 'continue' },
        e: step({ onError: { goto: 'f' }, after: ['f'] }),
        f: step(),
        g: step({ compensate: step() }),
        h: step({ compensate: { ...undo, after: ['a'], onError: 'continue' } }),
        i: step({ compensate: { ...undo, handler: 'charge_crd', retry: { notOn: ['TIMEOUTZ'], within: '1h' } } }),
        j: { type: 'agent', role: 'ceo', subject: 's', request: {}, retry: { attempts: 2, on: ['timeouts', 'STEP_FAILED'] } },
      }),
    ),
  ).toEqual([
    'steps.c.onError INVALID_VALUE',
    'steps.a.onError.goto UNKNOWN_STEP',
    'steps.b.onError.goto SELF_REFERENCE',
    'steps.d.onError INVALID_VALUE',
    'steps.g.compensate.type NOT_COMPENSATING (the types that can are agent, notify, handler, http)',
    'steps.h.compensate.after INVALID_VALUE',
    'steps.h.compensate.onError INVALID_VALUE',
    'steps.i.compensate.retry.notOn.0 INVALID_VALUE (did you mean "TIMEOUT"?)',
    'steps.i.compensate.retry.within INVALID_DURATION (like PT30S, PT1H30M or P7D; at most P3650D)',
    'steps.i.compensate.handler UNKNOWN_HANDLER (did you mean "charge_card"?)',
    'steps.e CYCLE',
  ])
})

test('a step that answers for failures never begins by itself, and is unreachable when what leads to it is', () => {
  const compiled = compile(flowOf({ a: step({ onError: { goto: 'b' } }), b: step() }), allow)
  expect('program' in compiled && compiled.program.step('b')!.needs.failures).toEqual(['a'])
  const routed = {
    r: { type: 'route', cases: [{ when: 'true', to: 'x' }], otherwise: 'y' },
    x: step({ on: 'r:x', onError: { goto: 'z' } }),
    y: step({ on: 'r:y' }),
    z: step({ after: ['y'] }),
  }
  expect(warningsOf(flowOf(routed))).toEqual(['steps.z UNREACHABLE'])
})

test('times and retries that can have no effect are told', () => {
  const handler = { type: 'handler', handler: 'charge_card' }
  const flow = flowOf({
    a: { ...handler, retry: { delay: 'PT1S' }, compensate: { ...handler, retry: { factor: 3 } } },
    b: { type: 'wait', duration: 'PT1H', timeout: 'PT1M' },
    c: step({ retry: { attempts: 3 } }),
  })
  expect(warningsOf(flow)).toEqual([
    'steps.a.retry NO_EFFECT',
    'steps.a.compensate.retry NO_EFFECT',
    'steps.b.timeout TOO_SHORT',
    'steps.c.retry NO_EFFECT',
  ])
  expect(warningsOf({ ...flowOf({ a: step() }), compensationTimeout: 'PT1M' })).toEqual(['compensationTimeout NO_EFFECT'])
})
