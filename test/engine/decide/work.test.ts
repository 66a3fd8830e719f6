import { expect, test } from 'vitest'
import { decide } from '../../../src/engine/decide/decide.ts'
import type { Transition } from '../../../src/engine/decide/draft.ts'
import type { Input } from '../../../src/engine/decide/input.ts'
import type { Snapshot } from '../../../src/engine/decide/snapshot.ts'
import { compile } from '../../../src/language/compile.ts'
import { cpuMs } from '../../harness/cpu-time.ts'
import { Model } from './model.ts'

const allow = { roles: new Set<string>(), handlers: new Set<string>() }

function start(definition: object, input: Snapshot['input']): Snapshot {
  const compiled = compile(definition, allow)
  if (!('program' in compiled)) throw new Error(JSON.stringify(compiled.issues))
  return { ...new Model(compiled.program, 0).stored, input }
}

/** All transitions until it rests, as a holder makes them. */
function run(snapshot: Snapshot, first: readonly Input[] = [{ kind: 'started' }]): Transition[] {
  const transitions: Transition[] = []
  let inputs = first
  do {
    const last = decide(transitions.at(-1)?.next ?? snapshot, inputs, {
      now: 1_000_000,
      worker: 'w',
      adopt: true,
      keepMs: 0,
      fenceMs: 0,
    })
    transitions.push(last)
    inputs = [{ kind: 'tick' }]
  } while (transitions.at(-1)!.more)
  return transitions
}

test('many steps that each work hard are spread over transitions, and none of these takes long', () => {
  const heavy = { type: 'transform', set: { n: '${{ size(input.list.filter(x, x % 2 == 0 && x % 3 == 0)) }}' } }
  const steps = Object.fromEntries(Array.from({ length: 60 }, (_, index) => [`s${index}`, heavy]))
  const snapshot = start({ name: 'heavy', steps }, { list: Array.from({ length: 8000 }, (_, index) => index) })
  const before = cpuMs()
  const transitions = run(snapshot)
  const took = cpuMs() - before
  expect(transitions.at(-1)!.next.status).toBe('SUCCEEDED')
  expect(transitions.length).toBeGreaterThan(5)
  expect(took / transitions.length).toBeLessThan(300)
})

test('a step with many expressions may do no more work than a step with one (C9)', () => {
  const cases = Array.from({ length: 50 }, (_, index) => ({ when: `input.list.exists(x, x == -${index + 1})`, to: `r${index}` }))
  const snapshot = start(
    { name: 'route', steps: { r: { type: 'route', cases, otherwise: 'none' } } },
    { list: Array.from({ length: 20_000 }, (_, n) => n) },
  )
  const before = cpuMs()
  const [only] = run(snapshot)
  expect(only!.next.error).toMatchObject({ code: 'EXPRESSION_FAILED', step: 'r' })
  expect(cpuMs() - before).toBeLessThan(1000)
})

test('a hundred signals that come at once, whose conditions work hard, are judged over many transitions, each once for each step', () => {
  const heavy = { type: 'signal', signals: ['a'], where: 'input.list.filter(x, x % 2 == 0).size() == signal.data' }
  const steps = { one: heavy, two: heavy, easy: { type: 'signal', signals: ['a'] } }
  const snapshot = start({ name: 'picky', steps }, { list: Array.from({ length: 8000 }, (_, index) => index) })
  const signals = Array.from({ length: 100 }, (_, n): Input => ({
    ...{ kind: 'signaled', id: `id${n}`, name: 'a', data: n < 98 ? n : 4000, bytes: 4, sentBy: 'user_x' },
  }))
  const before = cpuMs()
  const transitions = run(snapshot, [{ kind: 'started' }, ...signals])
  const took = cpuMs() - before
  const last = transitions.at(-1)!.next
  expect(last.status).toBe('SUCCEEDED')
  expect(last.signals).toHaveLength(97)
  expect(transitions.length).toBeGreaterThan(10)
  expect(took / transitions.length).toBeLessThan(300)
})
