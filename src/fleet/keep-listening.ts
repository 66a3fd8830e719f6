/** What listens for rings on a connection of its own: opened again, ever more patiently, when it is lost. */

/** One connection that listens. */
export interface Ear {
  /** settles when it is lost; may reject with why */
  readonly lost: Promise<void>
  close(): Promise<void> | void
}

export interface Listening {
  /** settles when it listens, and again after each time the connection was lost */
  listening(): Promise<void>
  stop(): Promise<void>
}

export interface ListeningOptions {
  /** Resolves when it listens. */
  open(): Promise<Ear>
  onListening?(): void
  /** Told each time that it does not listen any more, or could not begin. */
  onLost(error?: unknown): void
}

const REOPEN_MS = { first: 100, longest: 2_000 }

/** Listens in the background, until it is stopped. */
export function keepListening({ open, onListening, onLost }: ListeningOptions): Listening {
  let ready = Promise.withResolvers<void>()
  const stopping = Promise.withResolvers<void>()
  let stopped = false

  async function listenOnce(): Promise<void> {
    const opening = open()
    await Promise.race([opening, stopping.promise])
    if (stopped) return void opening.then((ear) => ear.close()).catch(() => undefined)
    const ear = await opening
    try {
      ready.resolve()
      onListening?.()
      await Promise.race([ear.lost, stopping.promise])
    } finally {
      ready = Promise.withResolvers<void>()
      await ear.close()
    }
  }

  async function run(): Promise<void> {
    let delay = REOPEN_MS.first
    while (!stopped) {
      const began = performance.now()
      const error: unknown = await listenOnce().catch((thrown: unknown) => thrown)
      if (stopped) return
      onLost(error)
      if (performance.now() - began > REOPEN_MS.longest) delay = REOPEN_MS.first
      await waitUnless(stopping.promise, delay)
      delay = Math.min(delay * 2, REOPEN_MS.longest)
    }
  }

  const running = run()
  return {
    listening: () => ready.promise,
    async stop() {
      stopped = true
      stopping.resolve()
      await running
    },
  }
}

async function waitUnless(stopping: Promise<void>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const elapsed = new Promise<void>((resolve) => (timer = setTimeout(resolve, ms)))
  await Promise.race([stopping, elapsed])
  clearTimeout(timer)
}
