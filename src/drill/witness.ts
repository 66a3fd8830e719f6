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
  /** Whether an execution is in the middle of a call; by its readable id. */
  isCalling(execution: string): boolean
  /** when each call came, ms by `now` */
  readonly times: readonly number[]
  close(): void
}

/** `workMs`: how long it takes to answer, so that there are steps to be killed in the middle. */
export async function openWitness({ workMs, now }: { workMs: number; now: () => number }): Promise<Witness> {
  const calls = new Map<string, number>()
  const times: number[] = []
  /** calls without an answer yet, by their execution */
  const open = new Map<string, number>()
  const countOpen = (execution: string, more: number): void => void open.set(execution, (open.get(execution) ?? 0) + more)
  const server = createServer((request, response) => {
    const key = String(request.headers['idempotency-key'])
    calls.set(key, (calls.get(key) ?? 0) + 1)
    times.push(now())
    request.resume()
    const execution = key.slice(0, key.indexOf('/'))
    countOpen(execution, 1)
    response.once('close', () => countOpen(execution, -1))
    void pause(workMs).then(() => response.writeHead(200, { 'content-type': 'application/json' }).end('{"done":true}'))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    ...{ url: `http://${address}/work`, address, calls, times },
    isCalling: (execution) => (open.get(execution) ?? 0) > 0,
    close() {
      server.close()
      server.closeAllConnections()
    },
  }
}
