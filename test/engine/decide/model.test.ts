import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isCompensation, compensationPath } from '../../../src/engine/decide/run.ts'
import { hasEnded } from '../../../src/engine/states.ts'
import { upstream } from '../../../src/language/graph.ts'
import type { Program } from '../../../src/language/program.ts'
import { Model, visit } from './model.ts'
import { bringToEnd, commands, graphs, play, sagas, SHORT_MS } from './scripts.ts'

test('two workers and an API writer over random graphs: every execution ends and no invariant breaks (A5, D9, E6)', () => {
  const seen = { inside: 0, joined: 0, children: 0, canceled: 0 }
  fc.assert(
    fc.property(graphs, commands, (flow, script) => {
      const model = new Model(flow, 2)
      play(model, script)
      bringToEnd(model)
      expect(hasEnded(model.stored.status)).toBe(true)
      expect(model.openAsks.size).toBe(0)
      expect(model.events.map(({ seq }) => seq)).toEqual(model.events.map((_, index) => index + 1))
      // what the history says and what was recorded agree
      const succeeded = model.events.filter(({ type }) => type === 'step.succeeded').map(({ path }) => path)
      expect(new Set(succeeded).size).toBe(succeeded.length)
      const recorded = model.stepRuns.filter(({ status }) => status === 'SUCCEEDED').map(({ path }) => path)
      expect(succeeded.toSorted()).toEqual(ofSteps(recorded).toSorted())
      if (model.stored.status === 'SUCCEEDED')
        expect(ofSteps(model.stepRuns.map(({ path }) => path)).length).toBe(flow.steps.length)
      // nobody is left behind: a child has ended, or was told to
      expect([...model.children.values()].filter(({ ended, canceled }) => !ended && !canceled)).toEqual([])
      expect(model.stored.error?.code).not.toBe('POISONED')
      seen.inside += model.stepRuns.length - ofSteps(model.stepRuns.map(({ path }) => path)).length
      seen.joined += model.stepRuns.filter(
        ({ type, status }) => (type === 'map' || type === 'loop') && status === 'SUCCEEDED',
      ).length
      seen.children += model.children.size
      seen.canceled += [...model.children.values()].filter(({ canceled }) => canceled).length
    }),
    { numRuns: 1000 },
  )
  for (const count of Object.values(seen)) expect(count).toBeGreaterThan(50)
}, 60_000)

/** What is inside of maps and loops is recorded, and not told. */
const ofSteps = (paths: readonly string[]): string[] => paths.filter((path) => !path.includes('['))

/** What must be true of every ended saga. */
function checkUndoing(model: Model, flow: Program): void {
  const runs = new Map(model.stepRuns.map((run, index) => [run.path, { ...run, index }]))
  const undoing = [...runs.values()].filter(({ path }) => isCompensation(path))
  const succeeded = flow.steps.filter((each) => each.compensate && runs.get(each.name)?.status === 'SUCCEEDED')
  if (model.stored.status === 'SUCCEEDED') return expect(undoing).toEqual([])
  const paths = succeeded.map(compensationPath)
  const isCut = flow.compensation?.timeoutMs === SHORT_MS
  if (isCut) expect(paths).toEqual(expect.arrayContaining(undoing.map(({ path }) => path)))
  else expect(undoing.map(({ path }) => path).toSorted()).toEqual(paths.toSorted())
  const graph = new Map(flow.steps.map((each) => [each.name, each.needs]))
  for (const [at, later] of undoing.entries()) {
    const first = runs.get(later.name)!
    for (const earlier of undoing.slice(0, at)) {
      // undone before it: it ended later, or at the same moment and was not waited for
      const second = runs.get(earlier.name)!
      expect(second.finishedAt).toBeGreaterThanOrEqual(first.finishedAt)
      if (second.finishedAt === first.finishedAt) expect(upstream(graph, later.name)).not.toContain(earlier.name)
    }
  }
  // it is begun once, ends as it was said then, and a takeover cancels none of it
  const started = model.events.filter(({ type }) => type === 'compensation.started').map(({ data }) => data)
  expect(started).toMatchObject(succeeded.length > 0 ? [{ ending: model.stored.status, steps: succeeded.length }] : [])
  if (!isCut) expect(undoing.map(({ status }) => status)).not.toContain('CANCELED')
  const left = succeeded.filter((each) => runs.get(compensationPath(each))?.status !== 'SUCCEEDED').map(({ name }) => name)
  const [, told] = /not undone: (.+)$/.exec(model.stored.reason ?? '') ?? []
  expect(told?.split(', ').toSorted() ?? []).toEqual(left.toSorted())
}

test('whatever happens while it undoes, every step that succeeded is undone once, in the reverse order of the ends (E6)', () => {
  let undone = 0
  fc.assert(
    fc.property(sagas, commands, fc.boolean(), commands, (flow, script, canceled, more) => {
      const model = new Model(flow, 2)
      play(model, script)
      if (canceled) visit(model, { kind: 'cancel', reason: 'not wanted' })
      play(model, more)
      bringToEnd(model)
      expect(hasEnded(model.stored.status)).toBe(true)
      expect(model.stored.ending).toBe(null)
      expect(model.openAsks.size).toBe(0)
      checkUndoing(model, flow)
      undone += model.stepRuns.filter(({ path }) => isCompensation(path)).length
    }),
    { numRuns: 1500 },
  )
  expect(undone).toBeGreaterThan(200)
})
