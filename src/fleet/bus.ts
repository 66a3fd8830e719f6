/** The bus: hints that something happened, from process to process. Never the truth, which is in PostgreSQL. */

export type BusListener = (payload?: string) => void

/**
 * A ring may be lost, may come twice and may come without its payload: it costs or saves latency, nothing else. Whoever listens
 * also polls, slowly.
 */
export interface Bus {
  /** Tells all that listen to `topic`, here and in the other processes. Returns at once and never throws. */
  ring(topic: string, payload?: string): void
  /** Calls `listener` for each ring from now on, never from within `ring`. What one throws is logged and stops no other. */
  listen(topic: string, listener: BusListener): () => void
  /** Rings and listeners after it do nothing. */
  close(): Promise<void>
}
