/** Fields that a flow marks as sensitive: masked in every read, shown to whoever may unmask and asks for it. */
import { expect, test } from 'vitest'
import { decodeId } from '../../src/ids.ts'
import { createLog } from '../../src/log.ts'
import { MASK } from '../../src/masking/mark.ts'
import { testApi } from '../harness/api.ts'

const logged: string[] = []
const log = createLog('trace', { write: (line: string) => void logged.push(line) })
const api = await testApi({
  log,
  handlers: {
    echo(input, context) {
      context.log(`echo of ${JSON.stringify(input)}`)
      return { echoed: input, said: `for ${JSON.stringify(input)}` }
    },
    refuse(input) {
      throw new Error(`no customer ${JSON.stringify(input)}`)
    },
  },
})
type Person = Awaited<ReturnType<typeof api.person>>

const INPUT = {
  customer: { name: 'Ada', ssn: '123-45-6789', pin: 7, positive: true },
  cards: [{ number: '4111 1111 1111 1111', last: '1111' }],
  account: 987654321,
  note: 'call me',
}
const HIDDEN = ['123-45-6789', '4111 1111 1111 1111', '987654321', Buffer.from('123-45-6789').toString('base64')]

const schema = {
  type: 'object',
  properties: {
    customer: {
      type: 'object',
      properties: {
        name: { type: 'string' },
        ssn: { type: 'string', sensitive: true },
        pin: { $ref: '#/$defs/pin' },
        positive: { type: 'boolean', sensitive: true },
      },
    },
    cards: {
      type: 'array',
      items: { type: 'object', properties: { number: { type: 'string', sensitive: true }, last: { type: 'string' } } },
    },
    account: { anyOf: [{ type: 'integer', sensitive: true }, { type: 'string' }] },
    note: { type: 'string' },
  },
  $defs: { pin: { type: 'integer', sensitive: true } },
}

const definition = (name: string, last: object) => ({
  name,
  input: schema,
  steps: {
    copy: {
      type: 'transform',
      set: {
        ssn: '${{ input.customer.ssn }}',
        person: '${{ input.customer }}',
        told: 'pin ${{ input.customer.pin }}, ssn ${{ input.customer.ssn }}',
        isWell: '${{ !input.customer.positive }}',
        last: '${{ input.cards.map(card, card.last) }}',
        note: '${{ input.note }}',
      },
    },
    call: {
      type: 'handler',
      handler: 'echo',
      after: ['copy'],
      with: { ssn: '${{ steps.copy.output.ssn }}', pin: '${{ input.customer.pin }}' },
    },
    ask: {
      type: 'notify',
      after: ['call'],
      roles: ['ceo'],
      subject: 'About ${{ input.customer.ssn }}',
      message: { all: '${{ steps.copy.output }}' },
    },
    last,
  },
  output: { person: '${{ steps.copy.output.person }}', note: '${{ input.note }}', account: '${{ input.account }}' },
})

const READ = `query ($id: ID!, $unmask: Boolean!) {
  node(id: $id) { ... on Execution {
    status reason error { message } redacted
    input(unmask: $unmask) state(unmask: $unmask) output(unmask: $unmask)
    steps { name redacted error { message } input(unmask: $unmask) output(unmask: $unmask) }
    events(first: 500, unmask: $unmask) { type data redacted }
  } }
  agentRequests(first: 10) { edges { node { subject redacted request(unmask: $unmask) } } }
}`
const read = (who: Person, id: string, unmask = false) => api.run(who, READ, { id, unmask })

async function start(who: Person, last: object, flow = `f${Math.random()}`.replace('.', '_')) {
  const created = await api.run(
    who,
    `mutation ($d: JSON!) { createFlow(input: { definition: $d, visibility: PUBLIC }) { __typename ... on ValidationProblem { issues { path message } } } }`,
    { d: definition(flow, last) },
  )
  expect(created.data.createFlow).toEqual({ __typename: 'CreateFlowSuccess' })
  return run(who, flow)
}
async function run(who: Person, flow: string): Promise<{ id: string; flow: string; answer: unknown }> {
  const started = await api.run(
    who,
    `mutation ($flow: String!, $input: JSON!) { startExecution(input: { flow: $flow, input: $input, waitMs: 20000 }) {
      ... on StartExecutionSuccess { execution { id input output error { message } } } ... on Problem { code message } } }`,
    { flow, input: INPUT },
  )
  return { id: started.data.startExecution.execution.id, flow, answer: started }
}
const shows = (value: unknown): string[] => HIDDEN.filter((hidden) => JSON.stringify(value).includes(hidden))
const FINE = { type: 'transform', after: ['ask'], set: { ok: true } }

test('marked fields are masked in inputs, states, outputs, steps, requests, events and feeds, also for their owner (B9)', async () => {
  const who = await api.person()
  const { id, answer } = await start(who, FINE)
  expect(shows(answer)).toEqual([])
  const { data } = await read(who, id)
  expect(shows(data)).toEqual([])
  const { node } = data
  expect(node.input).toEqual({
    customer: { name: 'Ada', ssn: MASK, pin: MASK, positive: MASK },
    cards: [{ number: MASK, last: '1111' }],
    account: MASK,
    note: 'call me',
  })
  expect(node.output).toEqual({ person: { name: 'Ada', ssn: MASK, pin: MASK, positive: MASK }, note: 'call me', account: MASK })
  expect(node.state.input).toEqual(node.input)
  const step = (name: string) => node.steps.find((one: { name: string }) => one.name === name)
  expect(step('copy').output).toEqual({
    ...{ ssn: MASK, person: node.input.customer, told: MASK, isWell: MASK },
    // of a list with something sensitive in it whatever is made of it
    ...{ last: MASK, note: 'call me' },
  })
  expect(step('call').input).toEqual({ ssn: MASK, pin: MASK })
  expect(step('call').output.echoed.ssn).toBe(MASK)
  const [request] = data.agentRequests.edges
  expect(request.node.subject).toBe(`About ${MASK}`)
  expect(request.node.request.all.note).toBe('call me')

  const feed = await api.feeds.openExecutionFeed({ principal: who, executionId: decodeId('execution', id)!, after: undefined })
  const frames = [await feed.next(), await feed.next()]
  expect(shows(frames)).toEqual([])
})

test('what is masked is told, by its place (B9)', async () => {
  const who = await api.person()
  const { id } = await start(who, FINE)
  const { data } = await read(who, id)
  expect(data.node.redacted).toEqual(
    expect.arrayContaining([
      ...['/input/customer/ssn', '/input/customer/pin', '/input/customer/positive', '/input/cards/0/number', '/input/account'],
      ...['/steps/copy/told', '/steps/call/echoed/ssn', '/output/person/ssn', '/output/account'],
    ]),
  )
  expect(data.node.redacted).not.toContain('/input/note')
  expect(data.node.steps.find(({ name }: { name: string }) => name === 'call').redacted).toContain('/input/pin')
  expect(data.agentRequests.edges[0].node.redacted).toContain('/request/all/ssn')
})

test('errors, reasons and events quote nothing sensitive (B9, C6)', async () => {
  const who = await api.person()
  const { id, answer } = await start(who, { type: 'handler', handler: 'refuse', after: ['ask'], with: { all: '${{ input }}' } })
  const { data } = await read(who, id)
  expect(data.node).toMatchObject({ status: 'FAILED', error: { message: expect.stringContaining(MASK) } })
  expect(data.node.reason).toContain(MASK)
  expect(data.node.events.find(({ type }: { type: string }) => type === 'step.failed').redacted).toEqual(['/data/error/message'])
  expect(shows([data, answer])).toEqual([])
  const listed = await api.run(who, '{ executions(first: 5) { edges { node { reason error { message } } } } }')
  expect(shows(listed)).toEqual([])
})

test("the flow's owner and administrators see it all when they ask, and each time is in the audit log (B9, C7)", async () => {
  const who = await api.person()
  const { id } = await start(who, FINE)
  for (const reader of [who, await api.person('ADMIN')]) {
    const before = (await api.audited(reader.id)).length
    const { data, codes } = await read(reader, id, true)
    expect(codes).toEqual([])
    expect(data.node.input).toEqual(INPUT)
    expect(data.node.state.input).toEqual(INPUT)
    expect(data.node.output).toEqual({ person: INPUT.customer, note: INPUT.note, account: INPUT.account })
    const audited = (await api.audited(reader.id)).slice(before)
    // an administrator's list of requests is of other executions too
    const unmasked = audited.filter(
      ({ type, executionId }) => type === 'execution.unmasked' && executionId === decodeId('execution', id),
    )
    expect(new Set(unmasked.map(({ metadata }) => (metadata as { what: string }).what))).toEqual(
      new Set(['input', 'state', 'output', 'stepInput', 'stepOutput', 'events', 'request']),
    )
    expect(unmasked.every(({ success }) => success)).toBe(true)
  }
  // to ask once opens nothing for later
  expect(shows((await read(who, id)).data)).toEqual([])
})

test('whoever may see the execution but not unmask it is refused, with nothing in the answer, and it is audited (B9, A7)', async () => {
  const { flow } = await start(await api.person(), FINE)
  const guest = await api.person()
  const { id } = await run(guest, flow)
  expect(shows((await read(guest, id)).data)).toEqual([])
  const { data, codes } = await read(guest, id, true)
  expect(new Set(codes)).toEqual(new Set(['FORBIDDEN']))
  expect(shows(data ?? {})).toEqual([])
  expect((await api.audited(guest.id)).map(({ type, success }) => [type, success])).toContainEqual([
    'execution.unmaskRefused',
    false,
  ])
  const viewer = await api.person('VIEWER')
  await api.ownerQuery('update sluice.flows set owner_id = $1 where name = $2', [viewer.id, flow])
  expect(new Set((await read(viewer, id, true)).codes)).toEqual(new Set(['FORBIDDEN']))
})

test('what was marked stays masked when the flow may not run any more, and when its newest version marks nothing (A1, B9)', async () => {
  const who = await api.person()
  const { id, flow } = await start(who, FINE)
  const other = await start(who, FINE)
  await api.ownerQuery(
    `update sluice.flow_versions set definition = jsonb_set(definition::jsonb, '{steps,call,handler}', '"gone"')
     where flow_id = (select id from sluice.flows where name = $1)`,
    [flow],
  )
  // another process, which compiles it anew
  const { createMasks } = await import('../../src/engine/masks.ts')
  const { createPrograms } = await import('../../src/engine/programs.ts')
  const masks = createMasks(api.database, createPrograms(api.database, api.services.allow))
  const [one, two] = [decodeId('execution', id)!, decodeId('execution', other.id)!]
  for (const mask of (await masks([one, two])).values()) expect(shows(mask.value('input', INPUT).value)).toEqual([])
})

test('a flow that marks nothing costs no parsing, and texts under names of secrets are masked in it too (C6)', async () => {
  const who = await api.person()
  const plain = { name: 'plain', steps: { copy: { type: 'transform', set: { password: '${{ input.password }}', n: 1 } } } }
  await api.run(who, `mutation ($d: JSON!) { createFlow(input: { definition: $d }) { __typename } }`, { d: plain })
  const started = await api.run(
    who,
    `mutation ($input: JSON!) { startExecution(input: { flow: "plain", input: $input, waitMs: 20000 }) {
      ... on StartExecutionSuccess { execution { id input inputBytes state redacted } } } }`,
    { input: { password: 'hunter2', page_token: 'visible' } },
  )
  const { execution } = started.data.startExecution
  expect(execution.input).toEqual({ password: MASK, page_token: 'visible' })
  expect(execution.state.steps.copy).toEqual({ password: MASK, n: 1 })
  expect(execution.inputBytes).toBe(JSON.stringify(execution.input).length)
  expect(execution.redacted).toEqual(['/input/password', '/steps/copy/password'])
})

test('what handlers log is logged without what is sensitive, and so are their errors (C6)', () => {
  const lines = logged.join('')
  expect(lines).toContain('echo of')
  expect(lines).toContain(MASK)
  expect(shows(lines)).toEqual([])
})
