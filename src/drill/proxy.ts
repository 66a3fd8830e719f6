/** A TCP proxy on loopback before a server: it cuts, refuses and silences the connections that go through it, and no others. */
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'

/** Opens a connection to the server behind the proxy. */
export type OpenUpstream = () => Promise<Duplex>

/** What can be done to connections. */
export interface Way {
  /** Ends all connections, as when a cable is pulled; new ones are refused until `mend`. */
  cut(): void
  /** Keeps the connections, and lets nothing through until `mend`: as when a network swallows packets. */
  silence(): void
  mend(): void
}

export interface Proxy extends Way {
  readonly port: number
  close(): void
}

interface Pair {
  join(): void
  part(): void
  end(): void
}

export async function openProxy(openUpstream: OpenUpstream): Promise<Proxy> {
  const pairs = new Set<Pair>()
  let state: 'open' | 'cut' | 'silent' = 'open'

  async function forward(near: Socket): Promise<void> {
    near.on('error', () => undefined)
    if (state === 'cut') return void near.destroy()
    const far = await openUpstream().catch(() => undefined)
    // it may have been cut meanwhile
    if (!far || near.destroyed || (state as string) === 'cut') return void (near.destroy(), far?.destroy())
    const pair = pairOf(near, far)
    pairs.add(pair)
    const over = (): void => {
      pairs.delete(pair)
      pair.end()
    }
    near.once('close', over)
    far.on('error', over).once('close', over)
    if (state === 'open') pair.join()
  }

  const server = createServer({ noDelay: true }, (near) => void forward(near))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const endAll = (): void => pairs.forEach((pair) => pair.end())
  return {
    port: (server.address() as AddressInfo).port,
    cut() {
      state = 'cut'
      endAll()
    },
    silence() {
      state = 'silent'
      for (const pair of pairs) pair.part()
    },
    mend() {
      if (state === 'silent') for (const pair of pairs) pair.join()
      state = 'open'
    },
    close() {
      server.close()
      endAll()
    },
  }
}

/** Several of them as one. */
export const together = (ways: readonly Way[]): Way => ({
  cut: () => ways.forEach((way) => way.cut()),
  silence: () => ways.forEach((way) => way.silence()),
  mend: () => ways.forEach((way) => way.mend()),
})

function pairOf(near: Duplex, far: Duplex): Pair {
  const ways = [
    [near, far],
    [far, near],
  ] as const
  return {
    join: () => ways.forEach(([from, to]) => from.pipe(to)),
    part: () => ways.forEach(([from, to]) => from.unpipe(to).pause()),
    end: () => ways.forEach(([from]) => from.destroy()),
  }
}
