/** What an agent asks of the way that its requests come: GraphQL alone, or Redis. */

/** A question to one of the agent's roles. */
export interface AgentRequest {
  /** `ask_...` */
  readonly id: string
  readonly role: string
  readonly subject: string
  /** what the step asks, masked where it is sensitive */
  readonly body: unknown
  /** the name of the step that asks */
  readonly step: string
  /** `exec_...`; undefined where the agent may not see it */
  readonly execution: string | undefined
  readonly createdAt: Date
  /** nobody waits for the answer any more */
  readonly deadlineAt: Date
}

/** What a `notify` step tells. It may come more than once: its id says so. */
export type AgentNotice = Omit<AgentRequest, 'deadlineAt'>

export interface Answer {
  /** REJECT is an answer as good as any: the step goes on with it */
  readonly decision: 'APPROVE' | 'REJECT' | 'ANSWER'
  /** JSON, at most 1,000,000 bytes */
  readonly data?: unknown
}

export type Message =
  | { readonly kind: 'request'; readonly request: AgentRequest }
  | { readonly kind: 'notice'; readonly notice: AgentNotice }

/** ACCEPTED: it is the answer now. LATE: another was, or nobody waits any more. */
export type Answered = 'ACCEPTED' | 'LATE'

export interface Channel {
  /** The next messages, at least one and at most so many. Rejects with an `AgentRefused` when none will ever come. */
  next(most: number, signal: AbortSignal): Promise<readonly Message[]>
  /** Resolves when the server has said what became of it. Rejects with what it has against it, or when the signal ends it. */
  answer(request: AgentRequest, answer: Answer, signal: AbortSignal): Promise<Answered>
  /** There is nothing left to do about it. */
  settle(message: Message): Promise<void>
  /** Not done: another agent may have it, and this one again after so many ms. */
  leave(message: Message, forMs: number): void
  /** Called with the id of a request that somebody answered, or that nobody waits for any more. */
  onClosed(listener: (id: string) => void): void
  close(): Promise<void>
}

/** The server will not have this agent, or not this answer: trying again is of no use. */
export class AgentRefused extends Error {
  override name = 'AgentRefused'
  readonly code: string
  constructor(code: string, message?: string) {
    super(message ?? code)
    this.code = code
  }
}
