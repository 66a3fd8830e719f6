/** Runs the steps of type `handler`: as the registry declares them, in the host's processes or inline. */
import type { ActRunner } from '../acts/act-runner.ts'
import type { HandlerSpec } from '../../language/steps/handler.ts'
import type { HandlerHost } from './handler-host.ts'
import type { HandlerRegistry } from './load-handlers.ts'

export function createHandlerRunner(host: HandlerHost, registry: HandlerRegistry): ActRunner<HandlerSpec> {
  const runner: ActRunner<HandlerSpec> = {
    hasRoom: ({ handler }, isolated) => host.free > 0 || (registry.get(handler)?.inline === true && !isolated),
    run: ({ spec, ...call }) => host.run({ ...call, handler: spec.handler }),
  }
  host.onFree = () => runner.onRoom?.()
  return runner
}
