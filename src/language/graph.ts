/** The steps of a flow as a graph: order, cycles, who depends on whom, and what can never run. */
import type { Needs } from './program.ts'

export type Graph = ReadonlyMap<string, Needs>

/** The steps that a step waits for, each once: routers, and those whose failures lead to it, included. */
export function predecessors(needs: Needs): Set<string> {
  const names = new Set(needs.of)
  for (const { router } of needs.routes) names.add(router)
  for (const name of needs.failures ?? []) names.add(name)
  return names
}

/** For each step the steps whose needs name it, in declared order. */
export function dependentsOf(graph: Graph): Map<string, string[]> {
  const dependents = new Map<string, string[]>()
  for (const name of graph.keys()) dependents.set(name, [])
  for (const [name, needs] of graph) for (const before of predecessors(needs)) dependents.get(before)?.push(name)
  return dependents
}

/** Topological order (in declared order where that is free), and the cycles that stand in its way, each as a closed walk. */
export function sortSteps(graph: Graph): { order: string[]; cycles: string[][] } {
  const dependents = dependentsOf(graph)
  const order: string[] = []
  const cycles: string[][] = []
  const waitingFor = new Map<string, number>()
  for (const [name, needs] of graph) waitingFor.set(name, [...predecessors(needs)].filter((before) => graph.has(before)).length)

  const take = (name: string): void => {
    waitingFor.delete(name)
    for (const next of dependents.get(name)!) if (waitingFor.has(next)) waitingFor.set(next, waitingFor.get(next)! - 1)
  }
  while (waitingFor.size > 0) {
    const before = waitingFor.size
    for (const name of graph.keys()) {
      if (waitingFor.get(name) !== 0) continue
      order.push(name)
      take(name)
    }
    if (waitingFor.size < before) continue
    // Everything left waits for something left: walking back must close a circle. It is taken out to find the next one.
    const cycle = walkBack(graph, waitingFor)
    cycles.push(cycle)
    for (const name of new Set(cycle)) take(name)
  }
  return { order, cycles }
}

/** A cycle as it runs: ["a", "b", "a"] means that b waits for a, and a for b. */
function walkBack(graph: Graph, left: ReadonlyMap<string, number>): string[] {
  const walk: string[] = []
  const place = new Map<string, number>()
  let name = left.keys().next().value!
  while (!place.has(name)) {
    place.set(name, walk.length)
    walk.push(name)
    name = [...predecessors(graph.get(name)!)].find((before) => left.has(before))!
  }
  return [name, ...walk.slice(place.get(name)).toReversed()]
}

/** Everything that must have been decided before this step is. */
export function upstream(graph: Graph, name: string): Set<string> {
  const found = new Set<string>()
  const queue = [name]
  for (let at = queue.pop(); at !== undefined; at = queue.pop()) {
    const needs = graph.get(at)
    if (!needs) continue
    for (const before of predecessors(needs)) {
      if (found.has(before)) continue
      found.add(before)
      queue.push(before)
    }
  }
  return found
}

/**
 * Steps that no execution can reach, because they need two routes of one router, or enough steps that are unreachable.
 * `order` is topological. Conditions are not looked into.
 */
export function unreachableSteps(graph: Graph, order: readonly string[]): string[] {
  /** router -> the route that must have been taken when the step runs */
  const taken = new Map<string, ReadonlyMap<string, string>>()
  const unreachable: string[] = []
  for (const name of order) {
    const routes = routesNeeded(graph.get(name)!, taken)
    if (routes) taken.set(name, routes)
    else unreachable.push(name)
  }
  return unreachable
}

function routesNeeded(needs: Needs, taken: ReadonlyMap<string, ReadonlyMap<string, string>>): Map<string, string> | undefined {
  const reachable = needs.of.filter((name) => taken.has(name))
  if (reachable.length < needs.count) return undefined
  const needed = new Map<string, string>()
  const require = (router: string, route: string): boolean => {
    const other = needed.get(router)
    needed.set(router, route)
    return other === undefined || other === route
  }
  for (const { router, route } of needs.routes) {
    if (!taken.has(router) || !require(router, route)) return undefined
    for (const [before, label] of taken.get(router)!) if (!require(before, label)) return undefined
  }
  const failing = needs.failures?.filter((name) => taken.has(name))
  if (failing?.length === 0) return undefined
  if (failing?.length === 1) for (const [router, route] of taken.get(failing[0]!)!) if (!require(router, route)) return undefined
  // Only when every one is needed are their routes needed too.
  if (reachable.length > needs.count) return needed
  for (const name of reachable) for (const [router, route] of taken.get(name)!) if (!require(router, route)) return undefined
  return needed
}
