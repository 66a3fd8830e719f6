import fc from 'fast-check'
import { expect, test } from 'vitest'
import { dependentsOf, predecessors, sortSteps, unreachableSteps, upstream, type Graph } from '../../src/language/graph.ts'
import type { Needs } from '../../src/language/program.ts'

const all = (...of: string[]): Needs => ({ mode: 'all', count: of.length, of, routes: [] })
const any = (...of: string[]): Needs => ({ mode: 'any', count: 1, of, routes: [] })
const on = (router: string, route: string, ...of: string[]): Needs => ({ ...all(...of), routes: [{ router, route }] })
const graph = (steps: Record<string, Needs>): Graph => new Map(Object.entries(steps))

test('steps are sorted so that each comes after what it waits for, in declared order where that is free', () => {
  expect(sortSteps(graph({ c: all('b'), a: all(), b: all('a'), d: all() }))).toEqual({ order: ['a', 'b', 'd', 'c'], cycles: [] })
})

test('each cycle is named in the order in which it runs', () => {
  const { cycles } = sortSteps(
    graph({ a: all('c'), b: all('a'), c: all('b'), x: on('y', 'r'), y: all('x'), free: all(), after: all('a') }),
  )
  expect(cycles).toEqual([
    ['a', 'b', 'c', 'a'],
    ['x', 'y', 'x'],
  ])
})

test('dependents include the steps that listen to a route', () => {
  expect(dependentsOf(graph({ r: all(), a: on('r', 'x'), b: all('r', 'a') })).get('r')).toEqual(['a', 'b'])
})

test('upstream is everything that is decided before', () => {
  expect(upstream(graph({ a: all(), r: all('a'), b: on('r', 'x'), c: all() }), 'b')).toEqual(new Set(['r', 'a']))
})

test('a step that needs two routes of one router can never run, nor what needs it', () => {
  const steps = graph({
    r: all(),
    left: on('r', 'left'),
    right: on('r', 'right'),
    both: all('left', 'right'),
    either: any('left', 'right'),
    mixed: on('r', 'left', 'right'),
    later: all('both'),
    rescued: any('both', 'left'),
    two: { mode: 'atLeast', count: 2, of: ['left', 'right', 'r'], routes: [] },
  })
  expect(unreachableSteps(steps, sortSteps(steps).order)).toEqual(['both', 'mixed', 'later'])
})

test('every graph is either sorted completely or has cycles that really are some', () => {
  const names = ['a', 'b', 'c', 'd', 'e', 'f']
  const needs = fc.subarray(names).map((of) => all(...of))
  fc.assert(
    fc.property(fc.tuple(...names.map(() => needs)), (list) => {
      const steps: Graph = new Map(names.map((name, i) => [name, list[i]!]))
      const { order, cycles } = sortSteps(steps)
      const place = new Map(order.map((name, i) => [name, i]))
      if (cycles.length === 0) {
        expect(order.toSorted()).toEqual(names)
        for (const name of names)
          for (const before of predecessors(steps.get(name)!)) expect(place.get(before)!).toBeLessThan(place.get(name)!)
      }
      for (const cycle of cycles) {
        expect(cycle[0]).toBe(cycle.at(-1))
        for (let i = 1; i < cycle.length; i++) expect(predecessors(steps.get(cycle[i]!)!)).toContain(cycle[i - 1])
      }
    }),
  )
})
