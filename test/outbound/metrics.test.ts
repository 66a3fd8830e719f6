/** What the metrics tell of what leaves (A9, A12). */
import { Registry } from 'prom-client'
import { expect, onTestFinished, test } from 'vitest'
import { createGuardedClient } from '../../src/outbound/guarded-client.ts'
import { measureClient } from '../../src/outbound/metrics.ts'
import { startStubService } from '../harness/stub-service.ts'

test('metrics count how requests ended and name the origins whose circuit is open (A9, A12)', async () => {
  await using stub = await startStubService(({ path }, response) => response.writeHead(Number(path.slice(1))).end())
  const registry = new Registry()
  const client = measureClient(createGuardedClient({ allow: [stub.host], ports: [], circuits: { failures: 1 } }), registry)
  onTestFinished(() => client.close())
  const ask = (url: string): Promise<unknown> => client.request({ method: 'GET', url, timeoutMs: 5_000, maxBytes: 100 })
  await ask(`${stub.url}/204`)
  await ask(`${stub.url}/404`)
  await ask('http://10.0.0.1/')
  expect(await registry.metrics()).not.toContain('sluice_outbound_circuit_open{')
  await ask(`${stub.url}/503`)
  await ask(`${stub.url}/200`)
  const text = await registry.metrics()
  for (const outcome of ['2xx', '4xx', '5xx', 'REFUSED', 'CIRCUIT_OPEN'])
    expect(text).toContain(`sluice_outbound_requests_total{outcome="${outcome}"} 1`)
  expect(text).toContain('sluice_outbound_circuits{state="open"} 1')
  expect(text).toContain('sluice_outbound_circuits{state="closed"} 0')
  expect(text).toContain(`sluice_outbound_circuit_open{origin="${stub.url}"} 1`)
})

test('origins that flows name, however many fail, make a bounded number of series (A9)', async () => {
  const registry = new Registry()
  const client = measureClient(createGuardedClient({ allow: ['127.0.0.0/8'], ports: [9], circuits: { failures: 1 } }), registry)
  onTestFinished(() => client.close())
  const origins = Array.from({ length: 103 }, (_, n) => `http://127.0.1.${n + 1}:9`)
  await Promise.all(origins.map((url) => client.request({ method: 'GET', url, timeoutMs: 5_000, maxBytes: 100 })))
  const text = await registry.metrics()
  expect(text).toContain('sluice_outbound_circuits{state="open"} 103')
  expect(text.match(/^sluice_outbound_circuit_open\{/gm)).toHaveLength(101)
  expect(text).toContain('sluice_outbound_circuit_open{origin="other"} 1')
})
