/** What the guarded client counts (A9, A12): how requests end, and which circuits are open. */
import { Counter, Gauge } from 'prom-client'
import type { Registry } from 'prom-client'
import type { GuardedClient } from './guarded-client.ts'

/** Definitions and inputs name origins, without end: a process makes no more series of them than this, and one for all others. */
const NAMED = 100
const OTHER = 'other'

/** The same client, counted. */
export function measureClient(client: GuardedClient, registry: Registry): GuardedClient {
  const registers = [registry]
  const requests = new Counter({
    ...{ name: 'sluice_outbound_requests_total', help: 'Requests to the outside, by how they ended.', registers },
    labelNames: ['outcome'],
  })
  new Gauge({
    ...{ name: 'sluice_outbound_circuits', help: 'Origins that were called lately, by the state of their circuit.', registers },
    labelNames: ['state'],
    collect() {
      const counts = { closed: 0, open: 0, 'half-open': 0 }
      for (const state of client.circuits().values()) counts[state]++
      for (const [state, count] of Object.entries(counts)) this.set({ state }, count)
    },
  })
  const named = new Set<string>()
  new Gauge({
    ...{
      name: 'sluice_outbound_circuit_open',
      help: '1 for each origin whose circuit is not closed; `other` beyond 100 of them.',
      registers,
    },
    labelNames: ['origin'],
    collect() {
      this.reset()
      for (const [origin, state] of client.circuits()) {
        if (state === 'closed') continue
        if (named.size < NAMED) named.add(origin)
        this.set({ origin: named.has(origin) ? origin : OTHER }, 1)
      }
    },
  })
  return {
    ...client,
    async request(asked) {
      const result = await client.request(asked)
      requests.inc({ outcome: result.ok ? `${Math.floor(result.status / 100)}xx` : result.code })
      return result
    },
  }
}
