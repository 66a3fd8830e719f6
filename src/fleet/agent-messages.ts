/** Messages to agents and from them (A14): what the rooms above see of it. redis-agent-messages.ts does it. */

/** Of all fields of one answer: `data` of 1,000,000 bytes, and what stands around it. */
export const MAX_ANSWER_BYTES = 1_004_000

export interface SignedMessage {
  /** JSON */
  readonly text: string
  readonly signature: string
}

export interface IncomingMessage {
  /** names it to `settle` */
  readonly entry: string
  readonly bytes: number
  /** empty when there are too many bytes */
  readonly fields: Readonly<Record<string, string>>
  /** how often it was taken before and not settled */
  readonly failures: number
}

/** All but the listeners reject while Redis is away. */
export interface AgentMessages {
  /** Whether Redis is there now; false after it failed, so that whoever was in the middle knows why. */
  readonly ready: boolean
  /** false: since this was asked the last time, by any process, Redis has lost what was put into it, or another key signed it. */
  intact(publicKey: string): Promise<boolean>
  /** Adds what is not in the role's stream; how many were not. Undefined: the stream was lost, and is to be made again as a whole. */
  deliver(role: string, messages: readonly (SignedMessage & { readonly id: string })[]): Promise<number | undefined>
  withdraw(role: string, ids: readonly string[]): Promise<void>
  /** The ids in the role's stream, which is there from then on, to be read by agents. */
  held(role: string): Promise<string[]>
  /** Which of these agents have read and acknowledged. */
  taken(role: string, ids: readonly string[]): Promise<string[]>
  /** The next answers, at most so many. They are this process's until they are settled. */
  receive(most: number): Promise<IncomingMessage[]>
  /** Answers that a process took long ago and did not settle. */
  reclaim(most: number): Promise<IncomingMessage[]>
  settle(entries: readonly string[]): Promise<void>
  /** Takes back that these were taken: it was no fault of theirs. Whoever reclaims gets them after a while. */
  spare(messages: readonly IncomingMessage[]): Promise<void>
  /** Whether each nonce is used by this entry alone, kept for so many ms; in their order. */
  claimNonces(nonces: readonly { entry: string; nonce: string; keptMs: number }[]): Promise<boolean[]>
  /** Tells an agent what became of an answer; by its key's fingerprint. */
  reply(fingerprint: string, message: SignedMessage): Promise<void>
  /** Called when answers may have come. */
  onAnswer(listener: () => void): void
  /** Called when Redis is there again; what was in it may be gone. */
  onReady(listener: () => void): void
  close(): Promise<void>
}
