/** How a worker that stops lets go: what runs may end, and what has not is given back for others. */
import type { Mailboxes } from './mailboxes.ts'
import type { PooledSteps } from './pooled-steps.ts'

export interface DrainOptions {
  mailboxes: Mailboxes
  steps: PooledSteps
  /** called before the rest is given back, running or not */
  giveUp(): void
  drainMs: number
  /** after so long others take over anyway */
  leaseMs: number
}

export async function drain({ mailboxes, steps, giveUp, drainMs, leaseMs }: DrainOptions): Promise<void> {
  // whatever is decided from now on lets go of an execution of which nothing runs: here of those to which nothing happens
  for (const id of mailboxes.held().keys()) void mailboxes.post(id, { kind: 'tick' }).catch(() => undefined)
  const until = performance.now() + drainMs
  const givenBack = steps.drain(until)
  while (mailboxes.size > 0 && performance.now() < until) await tick()
  giveUp()
  const left = [...mailboxes.held().keys()]
  const handedBack = Promise.allSettled(left.map((id) => mailboxes.post(id, { kind: 'handBack' })))
  // when the database is away, the end of the lease does the same
  await Promise.race([Promise.all([handedBack, givenBack]), tick(drainMs + leaseMs)])
}

const tick = (ms = 20): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
