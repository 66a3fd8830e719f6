/** `/metrics` and `/health` on a port of its own, for collectors inside; and what the doors themselves count. */
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { collectDefaultMetrics, Counter, Gauge, Histogram } from 'prom-client'
import type { Registry } from 'prom-client'
import { urlHost } from './url-host.ts'
import { answerHealth } from './health.ts'
import type { AskReadiness } from './health.ts'

/** What the doors count. Labels come from closed sets, never from input. */
export interface DoorMetrics {
  operation(door: string, outcome: string, seconds: number): void
  refused(code: string): void
}

/** Registers the doors' metrics; `sockets` is asked at each collection. */
export function createDoorMetrics(registry: Registry, sockets: () => number): DoorMetrics {
  const registers = [registry]
  const operations = new Histogram({
    name: 'sluice_api_operation_seconds',
    help: 'GraphQL operations until they are answered; subscriptions until they have begun.',
    labelNames: ['door', 'outcome'],
    buckets: [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10],
    registers,
  })
  const refusals = new Counter({
    name: 'sluice_api_refused_total',
    help: 'Requests that security checks refused.',
    labelNames: ['code'],
    registers,
  })
  new Gauge({
    name: 'sluice_api_sockets',
    help: 'Open WebSockets.',
    registers,
    collect() {
      this.set(sockets())
    },
  })
  return {
    operation: (door, outcome, seconds) => operations.observe({ door, outcome }, seconds),
    refused: (code) => refusals.inc({ code }),
  }
}

export interface MetricsServer {
  readonly url: string
  close(): Promise<void>
}

/** Serves the registry, with what Node tells of the process, its health, and nothing else. Rejects when the port is taken. */
export async function startMetricsServer(
  registry: Registry,
  at: { host: string; port: number },
  askReadiness: AskReadiness,
): Promise<MetricsServer> {
  collectDefaultMetrics({ register: registry })
  const server = createServer((request, response) => void answer(request, response))
  async function answer({ method, url = '' }: IncomingMessage, response: ServerResponse): Promise<void> {
    if (method === 'GET' && (await answerHealth(url, response, askReadiness))) return
    if (method !== 'GET' || url !== '/metrics') return void response.writeHead(404).end()
    await registry.metrics().then(
      (text) => response.writeHead(200, { 'content-type': registry.contentType }).end(text),
      () => response.writeHead(500).end(),
    )
  }
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(at.port, at.host, resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://${urlHost(at.host)}:${port}/metrics`,
    close: () => {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}
