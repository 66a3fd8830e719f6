import { expect, test } from 'vitest'
import { compile } from '../../src/language/compile.ts'
import type { Program, ProgramStep } from '../../src/language/program.ts'
import { allow, flowOf, step } from './example-definition.ts'

function programOf(definition: unknown): Program {
  const result = compile(definition, allow)
  if ('issues' in result) throw new Error(JSON.stringify(result.issues))
  return result.program
}
const stepOf = (fields: Record<string, unknown>): ProgramStep => programOf(flowOf({ a: fields })).step('a')!

test('a program knows its steps in topological order, and who waits for whom, routers included', () => {
  const program = programOf(
    flowOf({
      end: step({ after: { atLeast: 2, of: ['left', 'right', 'start'] } }),
      left: step({ on: 'r:left' }),
      right: step({ on: 'r:right', after: { any: ['start'] } }),
      r: { type: 'route', after: ['start'], cases: [{ when: 'input.x', to: 'left' }], otherwise: 'right' },
      start: step(),
    }),
  )
  expect(program.steps.map(({ name }) => name)).toEqual(['start', 'r', 'left', 'right', 'end'])
  expect(program.dependents('start')).toEqual(['r', 'right', 'end'])
  expect(program.dependents('r')).toEqual(['left', 'right'])
  expect(program.dependents('end')).toEqual([])
  expect(program.step('start')!.needs).toEqual({ mode: 'all', count: 0, of: [], routes: [] })
  expect(program.step('r')!.needs).toEqual({ mode: 'all', count: 1, of: ['start'], routes: [] })
  expect(program.step('left')!.needs).toEqual({ mode: 'all', count: 0, of: [], routes: [{ router: 'r', route: 'left' }] })
  expect(program.step('right')!.needs).toEqual({
    mode: 'any',
    count: 1,
    of: ['start'],
    routes: [{ router: 'r', route: 'right' }],
  })
  expect(program.step('end')!.needs).toMatchObject({ mode: 'atLeast', count: 2 })
  expect(program.step('nope')).toBeUndefined()
})

test('an agent has 60 seconds unless said otherwise, and 600 at most (A6)', () => {
  const agent = { type: 'agent', role: 'ceo', subject: 's', request: {} }
  expect(stepOf(agent).timeoutMs).toBe(60_000)
  expect(stepOf({ ...agent, timeout: 'PT90S' }).timeoutMs).toBe(90_000)
  expect(stepOf({ ...agent, timeout: 'PT601S' }).timeoutMs).toBe(600_000)
})

test('every step that takes time has a timeout, but a wait only one that is asked for (D4)', () => {
  expect(stepOf({ type: 'handler', handler: 'send_mail' }).timeoutMs).toBe(300_000)
  expect(stepOf({ type: 'wait', duration: 'P2D' })).toMatchObject({ spec: { durationMs: 172_800_000 } })
  expect(stepOf({ type: 'wait', duration: 'P2D' }).timeoutMs).toBeUndefined()
  expect(stepOf(step()).timeoutMs).toBeUndefined()
  expect(programOf(flowOf({ a: step() })).timeoutMs).toBe(30 * 86_400_000)
  expect(programOf(flowOf({ a: step() }, { timeout: 'PT1H' })).timeoutMs).toBe(3_600_000)
})

test('one attempt is made unless retries are asked for, which begin after half a second', () => {
  const standard = { attempts: 1, firstDelayMs: 500, factor: 2, maxDelayMs: 60_000, jitter: 0.2 }
  const handler = { type: 'handler', handler: 'send_mail' }
  expect(stepOf(handler).retry).toEqual(standard)
  expect(stepOf({ ...handler, retry: { attempts: 3, delay: 'PT2S', on: ['TIMEOUT'] } }).retry).toEqual({
    ...standard,
    attempts: 3,
    firstDelayMs: 2_000,
    on: ['TIMEOUT'],
  })
})

test('a wait is for a duration or until a date', () => {
  expect('issues' in compile(flowOf({ a: { type: 'wait', duration: 'PT1S', until: '2030-01-01T00:00:00Z' } }), allow)).toBe(true)
  expect('issues' in compile(flowOf({ a: { type: 'wait', until: 'tomorrow' } }), allow)).toBe(true)
  expect('issues' in compile(flowOf({ a: { type: 'wait', until: '2030-13-01T00:00:00Z' } }), allow)).toBe(true)
  expect(stepOf({ type: 'wait', until: '${{ input.at }}' }).spec).toHaveProperty('until')
})

test('subjects and messages of failures are texts, whatever the expression gives', () => {
  const { spec } = stepOf({ type: 'fail', message: '${{ {"a": 1} }}' })
  const scope = { input: {}, steps: {}, execution: { id: 'x', startedAt: '' } }
  expect(spec).toMatchObject({ code: 'FLOW_FAILED' })
  expect(spec.type === 'fail' && spec.message.evaluate(scope)).toEqual({ ok: true, value: '{"a":1}' })
})

test('a stored definition that names what was taken off the allow-list is refused when it is loaded (A1)', () => {
  const stored = flowOf({
    a: { type: 'handler', handler: 'send_mail' },
    b: { type: 'agent', role: 'ceo', subject: '', request: {} },
  })
  expect(compile(stored, allow)).toHaveProperty('program')
  const result = compile(stored, { roles: new Set(['cto']), handlers: new Set() })
  expect('issues' in result && result.issues.map(({ code }) => code)).toEqual(['UNKNOWN_HANDLER', 'UNKNOWN_ROLE'])
})

test('the input is checked against the JSON Schema of the flow (D5)', () => {
  const program = programOf(
    flowOf({ a: step() }, { input: { type: 'object', required: ['x'], properties: { x: { type: 'number' } } } }),
  )
  expect(program.checkInput({ x: 1 })).toEqual([])
  expect(program.checkInput({})).toMatchObject([{ code: 'REQUIRED', path: ['input', 'x'] }])
  expect(programOf(flowOf({ a: step() })).checkInput({ anything: true })).toEqual([])
})
