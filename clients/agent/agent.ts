/**
 * An agent of Sluice: takes what its roles are asked, a few at a time, and answers. It comes back by itself when it is cut off, and goes on
 * after it was killed; what it has answered counts once.
 */
import type { AgentNotice, AgentRequest, Answer, Answered, Channel, Message } from './channel.ts'
import { AgentRefused } from './channel.ts'
import { tryAgainMs, unlessAborted } from './pause.ts'

export { AgentRefused } from './channel.ts'
export type { AgentNotice, AgentRequest, Answer } from './channel.ts'

export interface Context {
  /** ends when nobody waits for the answer any more: it was given, the deadline is over, or the agent has to stop */
  readonly signal: AbortSignal
}

export interface AgentOptions {
  /** of `/graphql` */
  readonly url: string
  /** of an agent: an administrator makes it, for its roles */
  readonly apiKey: string
  readonly roles: readonly string[]
  /**
   * Undefined: it is left to another agent. What it throws goes to `onError`, and the request is tried again, here or by another agent,
   * while there is time. A request may come again after a crash.
   */
  onRequest(request: AgentRequest, context: Context): Promise<Answer | undefined> | Answer | undefined
  /** Told at least once, while the agent runs. */
  onNotice?(notice: AgentNotice, context: Context): Promise<void> | void
  onError?(error: unknown, about?: AgentRequest | AgentNotice): void
  /** told of each answer, when the server has said what became of it */
  onAnswered?(request: AgentRequest, answer: Answer, became: Answered): void
  /** how many are decided at once, 4 */
  readonly concurrency?: number
  /** of the fleet's Redis: agents of a role share what it is asked, and nothing is asked over GraphQL; needs the package `ioredis` */
  readonly redis?: string
  /** In Redis, who this process is: one of the same name goes on with what it had. The host's, unless given. */
  readonly name?: string
  /** what the server signs with, `agentMessageKey` of the API; asked for, unless given. With Redis alone */
  readonly serverKey?: string
}

export interface Agent {
  /**
   * Resolves when it hears what is asked and told, or was stopped before; over GraphQL also when the API cannot be reached yet. Where it rejects,
   * nothing stays open.
   */
  start(): Promise<void>
  /** Takes nothing more, and waits so long (10,000 ms) for what it is about; what is not done then is left to others. */
  stop(withinMs?: number): Promise<void>
  /** Settles when it has stopped; with why, when the server will not have it, or when it could not start. */
  readonly ended: Promise<Error | undefined>
}

/** The key is no good, whatever it is used for. */
const OF_NO_USE = new Set(['KEY_ENDED', 'KEY_CANNOT_SIGN', 'UNAUTHENTICATED'])
/** What failed and was then answered by others is forgotten in the end. */
const MOST_FAILURES = 10_000
/** Answers that wait for the server's word hold no place, up to so many: one request may carry them all. */
const MOST_ANSWERING = 100

interface Running {
  readonly controller: AbortController
  readonly done: Promise<void>
}

export function createAgent(options: AgentOptions): Agent {
  const { concurrency = 4, onError = () => undefined } = options
  const stopping = new AbortController()
  /** ends what is under way, when it took too long to stop */
  const cutting = new AbortController()
  const running = new Map<string, Running>()
  /** those that have their answer, which the server has not judged yet */
  const answering = new Set<string>()
  /** tries that failed, of what is still open */
  const failures = new Map<string, number>()
  const ended = Promise.withResolvers<Error | undefined>()
  let hasBegun = false
  let refused: AgentRefused | undefined
  let freed = Promise.withResolvers<void>()

  async function takeAll(from: Channel): Promise<void> {
    while (!stopping.signal.aborted) {
      const room = answering.size < MOST_ANSWERING ? concurrency - (running.size - answering.size) : 0
      if (room <= 0) {
        await unlessAborted(freed.promise, stopping.signal)
        continue
      }
      const messages = from.next(room, stopping.signal)
      // what comes after that is another agent's
      for (const message of (await unlessAborted(messages, stopping.signal)) ?? []) begin(from, message)
    }
  }

  function begin(from: Channel, message: Message): void {
    const { id } = aboutOf(message)
    if (running.has(id)) return
    if (isTooLate(message)) return void from.settle(message).catch(onError)
    const controller = new AbortController()
    const signal = AbortSignal.any([controller.signal, cutting.signal, ...deadlineOf(message)])
    const done = handle(from, message, signal)
      .catch((error: unknown) => failed(from, message, error, signal))
      .finally(() => {
        running.delete(id)
        answering.delete(id)
        free()
      })
    running.set(id, { controller, done })
  }

  function free(): void {
    freed.resolve()
    freed = Promise.withResolvers()
  }

  async function handle(from: Channel, message: Message, signal: AbortSignal): Promise<void> {
    if (message.kind === 'notice') {
      await options.onNotice?.(message.notice, { signal })
      return from.settle(message)
    }
    const { request } = message
    const answer = await options.onRequest(request, { signal })
    signal.throwIfAborted()
    // from here on the server has the word: that it is answered may be told before we are
    answering.add(request.id)
    free()
    if (answer === undefined) return from.leave(message, request.deadlineAt.getTime() - Date.now())
    const became = await from.answer(request, answer, signal)
    await from.settle(message)
    failures.delete(request.id)
    options.onAnswered?.(request, answer, became)
  }

  async function failed(from: Channel, message: Message, error: unknown, signal: AbortSignal): Promise<void> {
    const about = aboutOf(message)
    const isOver = message.kind === 'request' && signal.aborted && !cutting.signal.aborted
    if (isOver) {
      failures.delete(about.id)
      // somebody else answered, or the deadline is over
      return from.settle(message).catch(() => undefined)
    }
    if (!cutting.signal.aborted) onError(error, about)
    if (error instanceof AgentRefused && OF_NO_USE.has(error.code)) {
      refused = error
      stopping.abort()
    }
    const times = (failures.get(about.id) ?? 0) + 1
    if (failures.size >= MOST_FAILURES) failures.clear()
    failures.set(about.id, times)
    const isFinal = error instanceof AgentRefused && message.kind === 'request'
    from.leave(message, isFinal ? message.request.deadlineAt.getTime() - Date.now() : tryAgainMs(times))
  }

  async function run(): Promise<void> {
    hasBegun = true
    try {
      work(await openChannel(options, onError, stopping.signal))
    } catch (error) {
      // nothing is open
      ended.resolve(stopping.signal.aborted ? undefined : (error as Error))
      if (!stopping.signal.aborted) throw error
    }
  }

  function work(channel: Channel): void {
    channel.onClosed((id) => answering.has(id) || running.get(id)?.controller.abort())
    const over = takeAll(channel).then(
      () => undefined,
      (error: Error) => (stopping.signal.aborted ? undefined : error),
    )
    void over.then(async (error) => {
      // where nobody can be reached, nothing can be settled either
      await unlessAborted(Promise.all([...running.values()].map(({ done }) => done)), cutting.signal)
      await channel.close()
      ended.resolve(refused ?? error)
    })
  }

  return {
    ended: ended.promise,
    start: run,
    async stop(withinMs = 10_000) {
      stopping.abort()
      if (!hasBegun) return ended.resolve(undefined)
      const timer = setTimeout(() => cutting.abort(), withinMs)
      await ended.promise
      clearTimeout(timer)
    },
  }
}

/** Read in here: whoever needs no Redis needs no client of it. */
async function openChannel(options: AgentOptions, onError: (error: unknown) => void, stopped: AbortSignal): Promise<Channel> {
  if (options.redis !== undefined) {
    const { openRedisChannel } = await import('./redis-channel.ts')
    return openRedisChannel({ ...options, redis: options.redis, onError }, stopped)
  }
  const { openGraphqlChannel } = await import('./graphql-channel.ts')
  return openGraphqlChannel(options, stopped)
}

const aboutOf = (message: Message): AgentRequest | AgentNotice => (message.kind === 'request' ? message.request : message.notice)

const isTooLate = (message: Message): boolean => message.kind === 'request' && message.request.deadlineAt.getTime() <= Date.now()

/** Timers reach no further. */
const LONGEST_MS = 2 ** 31 - 1
function deadlineOf(message: Message): AbortSignal[] {
  if (message.kind === 'notice') return []
  const ms = message.request.deadlineAt.getTime() - Date.now()
  return [AbortSignal.timeout(Math.max(0, Math.min(ms, LONGEST_MS)))]
}
