/** The outside witness: a service that the drill's flow calls, which counts each call by the key that came with it. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'

export interface Witness {
  /** where steps call it */
  readonly url: string
  /** `host:port`, as the operator allows it */
  readonly address: string
  /** how often each step called: `<execution>/<path>` */
  readonly calls: ReadonlyMap<string, number>
  /** when each call came, ms by `now` */
  readonly times: readonly number[]
  close(): void
}

/** `workMs`: how long it takes to answer, so that there are steps to be killed in the middle. */
export async function openWitness({ workMs, now }: { workMs: number; now: () => number }): Promise<Witness> {
  const calls = new Map<string, number>()
  const times: number[] = []
  const server = createServer((request, response) => {
    const key = String(request.headers['idempotency-key'])
    calls.set(key, (calls.get(key) ?? 0) + 1)
    times.push(now())
    request.resume()
    void pause(workMs).then(() => response.writeHead(200, { 'content-type': 'application/json' }).end('{"done":true}'))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    ...{ url: `http://${address}/work`, address, calls, times },
    close() {
      server.close()
      server.closeAllConnections()
    },
  }
}
