/** States are data three times: in code, in the database's CHECKs and trigger, in the schema. They are the same. */
import { isEnumType } from 'graphql'
import { expect, test } from 'vitest'
import { schema } from '../../src/api/schema.ts'
import {
  AGENT_DECISIONS,
  AGENT_REQUEST_STATUSES,
  ENDED,
  EXECUTION_STATUSES,
  EXECUTION_TRANSITIONS,
  STEP_STATUSES,
  UNHAPPY,
} from '../../src/engine/states.ts'
import { SEVERITIES } from '../../src/audit/audit-entry.ts'
import { ROLES } from '../../src/identity/principal.ts'
import { testDatabase } from '../harness/test-database.ts'

const { ownerQuery } = await testDatabase()

/** A step run is stored when it has ended. */
const ENDED_STEPS = STEP_STATUSES.filter((status) => !['PENDING', 'RUNNING', 'WAITING'].includes(status))

test.each<[string, readonly string[]]>([
  ['executions_status_known', EXECUTION_STATUSES],
  ['executions_ended', ENDED],
  ['executions_ending_known', UNHAPPY],
  ['step_runs_status_known', ENDED_STEPS],
  ['agent_requests_status_known', AGENT_REQUEST_STATUSES],
  ['agent_requests_decision_known', AGENT_DECISIONS],
  ['users_role_known', ROLES],
  ['audit_events_severity_known', SEVERITIES],
])('the constraint %s allows what the code knows', async (name, values) => {
  const [row] = await ownerQuery<{ text: string }>(
    `select pg_get_constraintdef(c.oid) as text from pg_constraint c
     where conname = $1 and connamespace = 'sluice'::regnamespace and coninhcount = 0`,
    [name],
  )
  expect(quoted(row!.text)).toEqual([...values].sort())
})

const quoted = (text: string): string[] => [...text.matchAll(/'(\w+)'/g)].map(([, value]) => value!).sort()

test('the trigger allows the transitions of the table in states.ts, and no other (E6)', async () => {
  const [row] = await ownerQuery<{ text: string }>(
    `select pg_get_functiondef('sluice.check_execution_transition'::regproc) as text`,
  )
  const allowed = [...row!.text.matchAll(/when '(\w+)' then new\.status in \(([^)]*)\)/g)].map(
    ([, from, to]): [string, string[]] => [from!, quoted(to!)],
  )
  const table = Object.entries(EXECUTION_TRANSITIONS).filter(([, to]) => to.length > 0)
  expect(Object.fromEntries(allowed)).toEqual(Object.fromEntries(table.map(([from, to]) => [from, [...to].sort()])))
  expect(row!.text).toContain('else false end')
})

test('what has ended goes nowhere, and failure is possible from everywhere else (E6)', () => {
  for (const status of EXECUTION_STATUSES) {
    const ended = (ENDED as readonly string[]).includes(status)
    if (ended) expect(EXECUTION_TRANSITIONS[status], status).toEqual([])
    else expect(EXECUTION_TRANSITIONS[status], status).toEqual(expect.arrayContaining(['FAILED', 'CANCELED', 'TIMED_OUT']))
  }
})

test.each<[string, readonly string[]]>([
  ['ExecutionStatus', EXECUTION_STATUSES],
  ['StepStatus', STEP_STATUSES],
  ['AgentRequestStatus', AGENT_REQUEST_STATUSES],
  ['AgentDecision', AGENT_DECISIONS],
  ['Role', ROLES],
])('the enum %s has the values that the code knows', (name, values) => {
  const type = schema.getType(name)
  expect(
    isEnumType(type) &&
      type
        .getValues()
        .map((value) => value.name)
        .sort(),
  ).toEqual([...values].sort())
})
