/** The ports of the process, open before anything else is: whoever runs it is told from the first moment how it is. */
import { Registry } from 'prom-client'
import type { Config } from '../config/config-types.ts'
import type { ApiPort } from '../server/api-port.ts'
import { startMetricsServer } from '../server/metrics.ts'
import type { Health } from './health.ts'

export interface Ports {
  health: Health
  /** of all rooms */
  registry: Registry
  /** closed doors, until there are some; none in a process without an API */
  api: ApiPort | undefined
  metricsUrl: string | undefined
}

/** Closed with the stack. Rejects when a port is taken. */
export async function openPorts(
  { config, serve }: { config: Config; serve: boolean },
  health: Health,
  stack: AsyncDisposableStack,
): Promise<Ports> {
  const registry = new Registry()
  const { host, port, metricsPort } = config.server
  const metrics =
    metricsPort === undefined ? undefined : await startMetricsServer(registry, { host, port: metricsPort }, health.ask)
  if (metrics) stack.defer(() => metrics.close())
  const { openApiPort } = serve ? await import('../server/api-port.ts') : {}
  const api = await openApiPort?.({ host, port }, health.ask)
  if (api) stack.defer(() => api.close())
  return { health, registry, api, metricsUrl: metrics?.url }
}
