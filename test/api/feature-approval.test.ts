/** The main job through the API: create, start, watch, answer, read the history. */
import { expect, test } from 'vitest'
import { featureApproval } from '../../examples/flows/feature-approval.ts'
import { graphql } from '../generated/gql.ts'
import type { AgentAnswer, AnswerAgentRequestInput } from '../generated/graphql.ts'
import { as, testApi } from '../harness/api.ts'

const { person, run, engine } = await testApi()

const CREATE = graphql(`
  mutation CreateExample($definition: JSON!) {
    createFlow(input: { definition: $definition, visibility: PUBLIC }) {
      __typename
      ... on CreateFlowSuccess {
        flow {
          id
          name
          version
          owner {
            handle
          }
          latestVersion {
            id
            number
            definition
          }
          picture(format: MERMAID)
        }
      }
    }
  }
`)
const START = graphql(`
  mutation StartExample($input: StartExecutionInput!) {
    startExecution(input: $input) {
      __typename
      ... on StartExecutionSuccess {
        replayed
        execution {
          id
          status
          output
        }
      }
      ... on Problem {
        code
        message
        path
      }
      ... on ValidationProblem {
        issues {
          code
          path
        }
      }
    }
  }
`)
const WATCH = graphql(`
  query WatchExample($id: ID!) {
    execution(id: $id) {
      id
      status
      version
      lastSeq
      feedCursor
      reason
      routeTaken
      completedSteps
      currentSteps
      durationMs
      flow {
        name
      }
      flowVersion {
        number
      }
      initiator {
        handle
      }
      labels {
        key
        value
      }
      priority
      input
      state
      output
      stateBytes
      error {
        code
        message
        step
      }
      retryOf {
        id
      }
      progress {
        total
        finished
        failed
        skipped
        running
      }
      waitingFor {
        kind
        role
        step
        until
        agentRequest {
          id
          subject
          request
          status
        }
      }
      steps {
        id
        path
        name
        type
        status
        attempt
        startedAt
        finishedAt
        error {
          code
        }
        output
        waitingFor {
          kind
          role
          agentRequestId
        }
      }
      events {
        seq
        type
        step
        path
        attempt
        data
      }
      picture(format: SVG)
    }
  }
`)
const ANSWER = graphql(`
  mutation AnswerExample($input: AnswerAgentRequestInput!) {
    answerAgentRequest(input: $input) {
      __typename
      ... on AnswerAgentRequestSuccess {
        replayed
        agentRequest {
          id
          status
          decision
          answer
          answerBytes
          answeredBy {
            handle
          }
          execution {
            id
          }
        }
      }
    }
  }
`)
const ANSWER_MANY = graphql(`
  mutation AnswerMany($answers: [AgentAnswer!]!) {
    answerAgentRequests(input: { answers: $answers }) {
      __typename
      ... on AnswerAgentRequestsSuccess {
        results {
          id
          ok
          replayed
          code
          issues {
            path
          }
        }
      }
      ... on ValidationProblem {
        issues {
          code
          path
        }
      }
    }
  }
`)
const PAUSE_AND_RESUME = graphql(`
  mutation PauseAndResumeExample($id: ID!) {
    pause: pauseExecution(input: { id: $id, reason: "lunch" }) {
      __typename
      ... on PauseExecutionSuccess {
        execution {
          status
          reason
          lastSeq
          events {
            type
          }
        }
      }
    }
    resume: resumeExecution(input: { id: $id }) {
      __typename
      ... on ResumeExecutionSuccess {
        execution {
          status
          lastSeq
          events {
            type
          }
        }
      }
    }
  }
`)

const owner = await person()
const create = await run(owner, CREATE, { definition: featureApproval })
const created = as('CreateFlowSuccess', create.data.createFlow)

/** Starts the example and waits for its end, unless told otherwise. */
const startOrNot = async (input: unknown, more: object = {}) =>
  (await run(owner, START, { input: { flow: 'feature_approval', input, waitMs: 5000, ...more } })).data.startExecution
const start = async (input: object, more: object = {}) => as('StartExecutionSuccess', await startOrNot(input, more))
const watch = async (id: string) => (await run(owner, WATCH, { id })).data.execution!
const answerRequest = async (input: AnswerAgentRequestInput) => (await run(owner, ANSWER, { input })).data.answerAgentRequest

test('a flow is created, and its picture shows its steps', () => {
  expect(created).toMatchObject({
    __typename: 'CreateFlowSuccess',
    flow: {
      name: 'feature_approval',
      version: 1,
      owner: { handle: owner.handle },
      latestVersion: { number: 1, definition: featureApproval },
    },
  })
  expect(created.flow.id).toMatch(/^flow_[0-9a-z]{26}$/)
  for (const step of Object.keys(featureApproval.steps)) expect(created.flow.picture).toContain(step)
})

test('a cheap and simple feature is approved at once (A15)', async () => {
  const { execution, replayed } = await start({ feature_name: 'dark mode', estimated_cost: 100 })
  expect(replayed).toBe(false)
  expect(execution).toMatchObject({ status: 'SUCCEEDED', output: { approved: true, decided_by: 'rule', route: 'auto_approve' } })
})

test.each([
  ['ceo', { feature_name: 'moon base', estimated_cost: 2_000_000 }, 'ceo_approval'],
  ['cto', { feature_name: 'new kernel', estimated_cost: 10, complexity: 9 }, 'cto_approval'],
])('a feature for the %s waits, shows whom for, is answered, and tells its history (A13, A15)', async (role, input, route) => {
  const { execution: begun } = await start(input, { waitMs: 0, labels: [{ key: 'kind', value: 'test' }] })
  const waiting = await watch(begun.id)
  expect(waiting).toMatchObject({
    status: 'WAITING',
    flow: { name: 'feature_approval' },
    flowVersion: { number: 1 },
    initiator: { handle: owner.handle },
    labels: [{ key: 'kind', value: 'test' }],
    input,
    state: { input, steps: { analyze: { feature: input.feature_name } } },
    routeTaken: route,
    completedSteps: ['analyze', 'risk'],
    currentSteps: [`ask_${role}`],
    durationMs: null,
    progress: { total: 6, finished: 4, failed: 0, skipped: 2, running: 1 },
    waitingFor: {
      kind: 'AGENT',
      role,
      step: `ask_${role}`,
      agentRequest: { status: 'OPEN', request: { feature: input.feature_name } },
    },
  })
  const step = waiting.steps.find(({ name }) => name === `ask_${role}`)!
  expect(step).toMatchObject({ id: `${begun.id}/ask_${role}`, type: 'agent', status: 'WAITING', attempt: 1, finishedAt: null })
  expect(step.waitingFor).toEqual({ kind: 'AGENT', role, agentRequestId: waiting.waitingFor!.agentRequest!.id })

  const id = step.waitingFor!.agentRequestId!
  const answer = { id, decision: 'REJECT' as const, data: { why: 'too early' }, idempotencyKey: begun.id }
  const answered = as('AnswerAgentRequestSuccess', await answerRequest(answer))
  expect(answered).toMatchObject({
    replayed: false,
    agentRequest: {
      status: 'ANSWERED',
      decision: 'REJECT',
      answer: { why: 'too early' },
      answeredBy: { handle: owner.handle },
      execution: { id: begun.id },
    },
  })
  expect(answered.agentRequest.answerBytes).toBe(JSON.stringify(answer.data).length)
  expect(as('AnswerAgentRequestSuccess', await answerRequest(answer)).replayed).toBe(true)

  await engine.ended(uuidIn(waiting), 5000)
  const ended = await watch(begun.id)
  expect(ended).toMatchObject({
    status: 'SUCCEEDED',
    output: { approved: false, decided_by: role, route },
    currentSteps: [],
    waitingFor: null,
    progress: { total: 6, finished: 6, failed: 0, skipped: 2, running: 0 },
  })
  expect(ended.completedSteps).toEqual(['analyze', 'risk', `ask_${role}`, 'tell'])
  expect(ended.durationMs).toBeGreaterThanOrEqual(0)
  expect(ended.version).toBeGreaterThan(waiting.version)
  expect(ended.events.map(({ seq }) => seq)).toEqual(Array.from({ length: ended.lastSeq }, (_, at) => at + 1))
  expect(ended.events.at(-1)!.type).toBe('execution.succeeded')
  expect(ended.picture).toMatch(/^<svg/)
  expect(ended.picture).not.toBe(waiting.picture)
  expect(ended.steps.map((one) => one.id)).toContain(step.id)
})

test('many requests are answered at once, each for itself; whatever one is refused stops no other (A13)', async () => {
  const asked = await Promise.all(
    ['one', 'two', 'three'].map(async (name) => {
      const { execution } = await start({ feature_name: name, estimated_cost: 2_000_000 }, { waitMs: 0 })
      return (await watch(execution.id)).waitingFor!.agentRequest!.id
    }),
  )
  const [one, two, three] = asked as [string, string, string]
  const answerMany = async (answers: AgentAnswer[], by = owner) =>
    (await run(by, ANSWER_MANY, { answers })).data.answerAgentRequests
  const yes = (id: string) => ({ id, decision: 'APPROVE' as const, idempotencyKey: `many ${id}` })

  const stranger = await person()
  const hidden = as('AnswerAgentRequestsSuccess', await answerMany([yes(one), yes('ask_nothing'), yes('nothing')], stranger))
  expect(hidden.results).toMatchObject(Array.from({ length: 3 }, () => ({ ok: false, code: 'NOT_FOUND' })))

  const { results } = as(
    'AnswerAgentRequestsSuccess',
    await answerMany([yes(one), { ...yes(two), idempotencyKey: '' }, yes('ask_nothing'), yes(three)]),
  )
  expect(results).toMatchObject([
    { id: one, ok: true, replayed: false, code: null },
    { id: two, ok: false, code: 'VALIDATION', issues: [{ path: ['idempotencyKey'] }] },
    { id: 'ask_nothing', ok: false, code: 'NOT_FOUND' },
    { id: three, ok: true, replayed: false, code: null },
  ])
  const again = as('AnswerAgentRequestsSuccess', await answerMany([yes(one), yes(two), { ...yes(three), decision: 'REJECT' }]))
  expect(again.results).toMatchObject([
    { ok: true, replayed: true },
    { ok: true, replayed: false },
    { code: 'IDEMPOTENCY_MISMATCH' },
  ])

  expect(await answerMany([yes(one), yes(two), yes(one)])).toMatchObject({
    issues: [{ code: 'DUPLICATE', path: ['answers', '2', 'id'] }],
  })
  for (const count of [0, 101])
    expect(await answerMany(Array.from({ length: count }, () => yes('ask_nothing')))).toMatchObject({
      issues: [{ code: 'INVALID_LENGTH', path: ['answers'] }],
    })
})

/** The execution's UUID, out of its feed cursor. */
const uuidIn = ({ feedCursor }: { feedCursor: string }): string => Buffer.from(feedCursor, 'base64url').toString().split(':')[1]!

test('two mutations in one document each answer as of their own end', async () => {
  const { execution } = await start({ feature_name: 'moon base', estimated_cost: 2_000_000 }, { waitMs: 0 })
  const { data } = await run(owner, PAUSE_AND_RESUME, { id: execution.id })
  const paused = as('PauseExecutionSuccess', data.pause).execution
  const resumed = as('ResumeExecutionSuccess', data.resume).execution
  expect(paused).toMatchObject({ status: 'PAUSED', reason: 'lunch' })
  expect(resumed.status).not.toBe('PAUSED')
  expect(resumed.events.length).toBe(resumed.lastSeq)
  expect(resumed.lastSeq).toBeGreaterThan(paused.lastSeq)
})

test('a refused input is a typed problem with its issues, not an error (D5)', async () => {
  const refused = as('ValidationProblem', await startOrNot({ feature_name: '', estimated_cost: -1 }))
  expect(refused).toMatchObject({ code: 'VALIDATION', path: ['input'] })
  expect(refused.issues.map(({ path }) => path.join('.'))).toEqual(['input.feature_name', 'input.estimated_cost'])
  expect(as('ValidationProblem', await startOrNot([])).issues).toMatchObject([{ code: 'INVALID_TYPE', path: ['input'] }])
  expect(as('NotFoundProblem', await startOrNot({}, { flow: 'nope' })).path).toEqual(['flow'])
  as('NotFoundProblem', await answerRequest({ id: 'exec_nonsense', decision: 'APPROVE' }))
})
