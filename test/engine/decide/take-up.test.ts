import fc from 'fast-check'
import { expect, test } from 'vitest'
import { compile } from '../../../src/language/compile.ts'
import { isReadable } from '../../../src/engine/in-flight.ts'
import { Model, visit } from './model.ts'

const allow = { roles: new Set(['ceo']), handlers: new Set(['work']) }
const work = { type: 'handler', handler: 'work' }

function modelOf(steps: object): Model {
  const compiled = compile({ name: 'taken up', steps }, allow)
  if (!('program' in compiled)) throw new Error(JSON.stringify(compiled.issues))
  return new Model(compiled.program, 1)
}

/** Their worker dies and is started again; what it runs then at once, what waits for a turn alone, and who counts a crash. */
function crash(model: Model): { runs: string[]; waits: string[]; counted: string[] } {
  const [worker] = model.workers
  worker!.crash()
  worker!.restart()
  worker!.claim()
  const runs = worker!.running.map(({ path }) => path)
  const waits = worker!.lane.map(({ entry }) => entry.path)
  const counted = model.stored.inFlight.filter((entry) => 'crashes' in entry && entry.crashes).map(({ path }) => path)
  return { runs, waits, counted }
}

test('after one crash all that was in flight runs again at once; after two handlers take turns alone; calls never wait and count nothing (D9)', () => {
  const model = modelOf({ a: work, b: work, call: { type: 'http', url: 'https://service.test/' } })
  model.workers[0]!.claim()
  expect(crash(model)).toEqual({ runs: ['a', 'b', 'call'], waits: [], counted: ['a', 'b'] })
  for (let more = 0; more < 9; more++) expect(crash(model)).toEqual({ runs: ['call'], waits: ['a', 'b'], counted: ['a', 'b'] })
})

test('three crashes alone, after two beside others, are POISONED (D9)', () => {
  const model = modelOf({ a: work })
  const [worker] = model.workers
  worker!.claim()
  let crashes = 0
  for (; model.stored.endedAt === null && crashes < 10; crashes++) {
    crash(model)
    worker!.suspect()
  }
  expect(crashes).toBe(2 + 3)
  expect(model.stored).toMatchObject({ status: 'FAILED', error: { code: 'POISONED' } })
})

test('of what was canceled while nobody held it nothing is launched again by whoever claims it (A10)', () => {
  const model = modelOf({ a: work, call: { type: 'http', url: 'https://service.test/' } })
  const [worker] = model.workers
  worker!.claim()
  worker!.crash()
  worker!.restart()
  model.claim(worker!)
  // the word lies in its inbox, and is read with the claim
  worker!.turn([{ kind: 'claimed' }, { kind: 'cancel', reason: 'enough' }])
  expect(worker!.running).toEqual([])
  expect(model.stored).toMatchObject({ status: 'CANCELED' })
})

test('a step whose input cannot be made fails by whoever begins it, while another worker holds the execution (A3)', () => {
  const model = modelOf({
    slow: work,
    ask: { type: 'agent', role: 'ceo', subject: '?', request: {} },
    call: { ...work, after: ['ask'], with: { id: '${{ steps.ask.output.data.id }}' } },
  })
  const [worker] = model.workers
  worker!.claim()
  const asked = model.stored.inFlight.find((entry) => entry.kind === 'agent')!
  const answer = {
    requestId: asked.requestId,
    decision: 'APPROVE',
    data: {},
    answeredBy: '01890a5d-ac96-774b-bcce-b302099a8057',
  } as const
  expect(visit(model, { kind: 'answered', ...answer })).toBe('applied')
  expect(model.stored.error).toMatchObject({ code: 'EXPRESSION_FAILED', step: 'call' })
})

test('of what is in flight nothing is read that has a kind or a field which this release does not know (E5)', () => {
  const model = modelOf({ a: work, b: { type: 'wait', duration: 'PT1H' }, c: { type: 'map', over: [1, 2], step: work } })
  model.workers[0]!.claim()
  const entries = model.stored.inFlight
  expect(entries.map(({ kind }) => kind).toSorted()).toEqual(['act', 'act', 'act', 'map', 'wait'])
  fc.assert(
    fc.property(fc.constantFrom(...entries), fc.string(), fc.jsonValue(), (entry, name, value) => {
      expect(isReadable(entry)).toBe(true)
      expect(isReadable({ ...entry, [`new_${name}`]: value })).toBe(false)
      expect(isReadable({ ...entry, kind: `new_${name}` })).toBe(false)
    }),
  )
})
