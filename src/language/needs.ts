/** What a step waits for: `after` and `on` resolved to names, with every reference that leads nowhere. */
import { NAME, type After, type AnyStep, type OnError } from './any-step.ts'
import type { IssueList } from './issue-list.ts'
import { didYouMean } from './nearest-name.ts'
import type { Needs } from './program.ts'
import type { DeclaredStep } from './read-step.ts'
import { routesOf } from './steps/route.ts'

export type DeclaredSteps = ReadonlyMap<string, DeclaredStep>

export function readNeeds(name: string, step: AnyStep, declared: DeclaredSteps, issues: IssueList): Needs {
  const { mode, count, of, path } = readAfter(step.after, ['steps', name, 'after'])
  const seen = new Set<string>()
  for (const [i, other] of of.entries()) {
    const at = [...path, String(i)]
    if (seen.has(other)) issues.add('DUPLICATE', at, `${other} is named twice`)
    else if (other === name) issues.add('SELF_REFERENCE', at)
    else if (!declared.has(other)) issues.add('UNKNOWN_STEP', at, undefined, () => didYouMean(other, declared.keys()))
    seen.add(other)
  }
  if (count > of.length)
    issues.add('INVALID_VALUE', ['steps', name, 'after', 'atLeast'], `there are only ${of.length} steps to wait for`)
  const route = step.on === undefined ? undefined : readOn(name, step.on, declared, issues)
  return { mode, count, of, routes: route ? [route] : [] }
}

/** For each step that failures lead to, the steps that may fail. */
export function failuresLeadingTo(declared: DeclaredSteps): ReadonlyMap<string, string[]> {
  const sources = new Map<string, string[]>()
  for (const [name, { common }] of declared) {
    const target = gotoOf(common.onError)
    if (target !== undefined && target !== name) sources.set(target, [...(sources.get(target) ?? []), name])
  }
  return sources
}

export function readOnError(
  name: string,
  { common, whole }: DeclaredStep,
  declared: DeclaredSteps,
  issues: IssueList,
): 'continue' | { goto: string } | undefined {
  const { onError } = common
  if (onError === undefined || onError === 'fail') return undefined
  const path = ['steps', name, 'onError']
  if (whole?.type === 'fail') issues.add('INVALID_VALUE', path, 'a step of type fail ends the execution')
  const target = gotoOf(onError)
  if (target === undefined) return 'continue'
  if (target === name) issues.add('SELF_REFERENCE', [...path, 'goto'], 'a step cannot answer for itself')
  else if (!declared.has(target))
    issues.add('UNKNOWN_STEP', [...path, 'goto'], undefined, () => didYouMean(target, declared.keys()))
  return { goto: target }
}

const gotoOf = (onError: OnError | undefined): string | undefined => (typeof onError === 'object' ? onError.goto : undefined)

function readAfter(after: After | undefined, path: string[]): Omit<Needs, 'routes'> & { path: string[] } {
  if (after === undefined) return { mode: 'all', count: 0, of: [], path }
  if ('any' in after) return { mode: 'any', count: 1, of: after.any, path: [...path, 'any'] }
  if ('atLeast' in after) return { mode: 'atLeast', count: after.atLeast, of: after.of, path: [...path, 'of'] }
  return { mode: 'all', count: after.length, of: after, path }
}

function readOn(name: string, on: string, declared: DeclaredSteps, issues: IssueList): Needs['routes'][number] | undefined {
  const path = ['steps', name, 'on']
  const [router, route, ...rest] = on.split(':')
  if (router === undefined || route === undefined || rest.length > 0 || !NAME.test(router) || !NAME.test(route)) {
    issues.add('INVALID_VALUE', path, 'must be "router:route"')
    return undefined
  }
  if (router === name) {
    issues.add('SELF_REFERENCE', path)
    return undefined
  }
  const step = declared.get(router)?.whole
  if (step === undefined) {
    // Of a router that could not be read whole, the routes are unknown.
    if (!declared.has(router))
      issues.add('UNKNOWN_STEP', path, `there is no step ${router}`, () => didYouMean(router, declared.keys()))
    return undefined
  }
  if (step.type !== 'route') {
    issues.add('NOT_A_ROUTER', path, `${router} is of type ${step.type}; only steps of type route have routes`)
    return undefined
  }
  const routes = routesOf(step)
  if (!routes.has(route))
    issues.add('UNKNOWN_ROUTE', path, `${router} never takes the route ${route}`, () => didYouMean(route, routes))
  return { router, route }
}
