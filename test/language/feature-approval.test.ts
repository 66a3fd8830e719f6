import { expect, test } from 'vitest'
import { featureApproval } from '../../examples/flows/feature-approval.ts'
import { compile } from '../../src/language/compile.ts'
import type { Program } from '../../src/language/program.ts'
import type { Evaluated, JsonObject, Scope } from '../../src/language/values.ts'
import { DEFAULT_ROLES } from '../../src/language/roles.ts'
import { validateDefinition } from '../../src/language/validate.ts'

const allow = { roles: new Set<string>(DEFAULT_ROLES), handlers: new Set<string>() }

function load(): Program {
  const result = compile(featureApproval, allow)
  if ('issues' in result) throw new Error(JSON.stringify(result.issues))
  return result.program
}

function value<T>(result: Evaluated<T> | undefined): T {
  if (!result?.ok) throw new Error(result?.message ?? 'nothing to evaluate')
  return result.value
}

/** The analysis and the route that the first two steps make of an input. */
function route(program: Program, input: JsonObject): Scope {
  const scope: Scope = {
    input,
    steps: Object.fromEntries(program.steps.map(({ name }) => [name, { status: 'SKIPPED' }])),
    execution: { id: 'exec_1', startedAt: '2026-01-31T09:00:00.000Z' },
  }
  const analyze = program.step('analyze')!.spec
  const risk = program.step('risk')!.spec
  if (analyze.type !== 'transform' || risk.type !== 'route') throw new Error('the example has changed')
  scope.steps['analyze'] = { status: 'SUCCEEDED', output: value(analyze.set.evaluate(scope)) }
  const taken = risk.cases.find(({ when }) => value(when.evaluate(scope)))?.to ?? risk.otherwise!
  scope.steps['risk'] = { status: 'SUCCEEDED', output: { route: taken }, route: taken }
  return scope
}

test('the example is valid without a warning (A15)', () => {
  expect(validateDefinition(featureApproval, allow)).toMatchObject({ issues: [], warnings: [] })
})

test.each([
  [{ feature_name: 'x', estimated_cost: 1_000_001 }, 'ceo_approval'],
  [{ feature_name: 'x', estimated_cost: 1_000_001, complexity: 9 }, 'ceo_approval'],
  [{ feature_name: 'x', estimated_cost: 1_000_000, complexity: 8.5 }, 'cto_approval'],
  [{ feature_name: 'x', estimated_cost: 1_000_000, complexity: 8 }, 'auto_approve'],
  [{ feature_name: 'x', estimated_cost: 0 }, 'auto_approve'],
])('%j goes to %s (A15)', (input, taken) => {
  const program = load()
  expect(program.checkInput(input)).toEqual([])
  expect(route(program, input).steps['risk']!.route).toBe(taken)
})

test.each([
  ['ask_ceo', { decision: 'APPROVE' }, { approved: true, decided_by: 'ceo' }],
  ['ask_ceo', { decision: 'REJECT' }, { approved: false, decided_by: 'ceo' }],
  ['ask_cto', { decision: 'APPROVE' }, { approved: true, decided_by: 'cto' }],
  ['auto', { approved: true }, { approved: true, decided_by: 'rule' }],
])('when %s ends with %j, the output and the news say so (A15)', (name, output, expected) => {
  const program = load()
  const scope = route(program, { feature_name: 'Dark mode', estimated_cost: 5, complexity: 3 })
  scope.steps[name] = { status: 'SUCCEEDED', output }
  expect(value(program.output?.evaluate(scope))).toMatchObject({ ...expected, cost: 5, complexity: 3 })
  const tell = program.step('tell')!.spec
  if (tell.type !== 'notify') throw new Error('the example has changed')
  expect(value(tell.message.evaluate(scope))).toEqual({ feature: 'Dark mode', ...expected })
  expect(tell.roles).toContain('product_manager')
})

test('an input without name and cost is refused with paths (D5)', () => {
  const issues = load().checkInput({ estimated_cost: '5', priority: 1 })
  expect(issues.map(({ code, path }) => `${code} ${path.join('.')}`)).toEqual([
    'REQUIRED input.feature_name',
    'UNKNOWN_FIELD input.priority',
    'INVALID_TYPE input.estimated_cost',
  ])
})
