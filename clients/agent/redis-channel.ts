/** Requests over the fleet's Redis: what the server signed is done, once by all agents of a role, and answered with a signature. */
import { hostname } from 'node:os'
import { openAnswers } from './answers.ts'
import { ask, TryLater } from './ask.ts'
import type { Api } from './ask.ts'
import { AgentRefused } from './channel.ts'
import type { AgentNotice, Channel, Message } from './channel.ts'
import { createDoubts } from './doubts.ts'
import { pause, reasonOf, tryAgainMs, unlessAborted } from './pause.ts'
import { connectRedis } from './redis-connection.ts'
import type { RedisClient } from './redis-connection.ts'
import { openRoleStreams } from './role-streams.ts'
import type { Entry } from './role-streams.ts'
import { createServerKey } from './server-key.ts'
import { createSigner } from './signing.ts'

export interface RedisChannelOptions extends Api {
  readonly redis: string
  readonly roles: readonly string[]
  readonly name?: string
  readonly serverKey?: string
  readonly onError: (error: unknown) => void
}

/** A message as the server writes it: docs/agents.md. */
interface Sent {
  readonly v: number
  readonly type: 'request' | 'notice'
  readonly id: string
  readonly role: string
  readonly subject: string
  readonly body: unknown
  readonly bodyBytes: number
  readonly execution: string
  readonly step: string
  readonly createdAt: string
  readonly deadlineAt: string | null
}

const BODY = 'query AgentBody($id: ID!) { node(id: $id) { ... on AgentRequest { request } } }'
const NOTICES_REMEMBERED = 10_000
/** When the API could not give the body of a request. */
const BODY_AGAIN_MS = 1_000
/** What is not taken for so long is told: what the server refuses without a reply is in its audit log alone. */
const SILENT_TRIES = 2

/** Resolves when Redis was reached. Where that fails, or is `stopped` before, nothing stays open, and it rejects. */
export async function openRedisChannel(options: RedisChannelOptions, stopped = new AbortController().signal): Promise<Channel> {
  const closing = new AbortController()
  const stop = (): void => closing.abort(stopped.reason)
  if (stopped.aborted) stop()
  stopped.addEventListener('abort', stop, { once: true })
  try {
    const channel = await unlessAborted(open(options, closing), closing.signal)
    if (!channel) throw reasonOf(closing.signal)
    return channel
  } catch (error) {
    closing.abort(error)
    throw error
  } finally {
    stopped.removeEventListener('abort', stop)
  }
}

/** All that it opens ends with `closing`, whatever has become of it by then. */
async function open(options: RedisChannelOptions, closing: AbortController): Promise<Channel> {
  const { url, apiKey, roles, name = hostname(), onError } = options
  const api = { url, apiKey }
  const key = createServerKey(api, options.serverKey)
  const redis = await connectRedis(options.redis, onError, closing.signal)
  const aheadMs = await clockAhead(redis)
  const streams = openRoleStreams({ redis, roles, name, closing: closing.signal })
  const doubts = createDoubts(key, streams)
  const answers = await openAnswers({ redis, signer: createSigner(apiKey), key, closing: closing.signal })
  /** where the messages lie that were given out, by their ids */
  const places = new Map<string, Entry>()
  const told = new Set<string>()
  /** of requests that somebody is still about, and that are not where they were given out: they are being ended */
  const ending = new Set<string>()

  async function read(entry: Entry): Promise<Message | undefined> {
    const text = await key.verified(entry.fields)
    if (text === undefined) {
      onError(new Error(`A message in ${entry.stream} is not signed by the server.`))
      await doubts.add(entry)
      return undefined
    }
    const sent = JSON.parse(text) as Sent
    const isOver = sent.deadlineAt !== null && Date.parse(sent.deadlineAt) <= Date.now() + aheadMs
    if (sent.v !== 1 || !roles.includes(sent.role) || told.has(sent.id) || isOver) {
      await streams.acknowledge(entry)
      return undefined
    }
    if (ending.has(sent.id)) {
      // it is asked again, as after Redis lost everything: taken by whoever is free when this one has been silent about it
      streams.letGo(entry)
      return undefined
    }
    const before = places.get(sent.id)
    // Redis lost it, and has it again
    places.set(sent.id, entry)
    if (before) streams.letGo(before)
    return before ? undefined : messageOf(sent, aheadMs)
  }

  async function readAll(entries: readonly Entry[]): Promise<Message[]> {
    const messages: Message[] = []
    for (const entry of entries) {
      try {
        const message = await read(entry)
        if (message) messages.push(message)
      } catch (error) {
        // it comes again, to this agent or to another
        streams.letGo(entry)
        if (error instanceof AgentRefused) throw error
        onError(error)
      }
    }
    return messages
  }

  /** With their bodies, those that there are now: what is too large for a message is asked for by itself, and again later if need be. */
  async function whole(messages: readonly Message[]): Promise<Message[]> {
    const there: Message[] = []
    for (const message of messages) {
      try {
        there.push(await withBody(message))
      } catch (error) {
        leave(message, BODY_AGAIN_MS)
        if (error instanceof AgentRefused) throw error
        onError(error)
      }
    }
    return there
  }

  async function withBody(message: Message): Promise<Message> {
    if (message.kind === 'notice' || message.request.body !== null) return message
    const { id } = message.request
    const { node } = await ask<{ node: { request: unknown } | null }>(api, BODY, { id }, AbortSignal.timeout(10_000))
    return { kind: 'request', request: { ...message.request, body: node?.request ?? null } }
  }

  /** Another agent may have it at once. */
  function leave(message: Message, forMs: number): void {
    const { id } = message.kind === 'request' ? message.request : message.notice
    const place = places.get(id)
    places.delete(id)
    ending.delete(id)
    if (!place) return
    const isForGood = message.kind === 'request' && Date.now() + forMs >= message.request.deadlineAt.getTime()
    streams.handOver(place, isForGood ? Number.POSITIVE_INFINITY : forMs)
  }

  return {
    async next(most, signal) {
      for (let failures = 0; ;) {
        signal.throwIfAborted()
        try {
          void doubts.review().catch(() => undefined)
          const messages = await whole(await readAll(await streams.next(most)))
          failures = 0
          if (messages.length > 0) return messages
        } catch (error) {
          signal.throwIfAborted()
          if (error instanceof AgentRefused) throw error
          onError(error)
          await pause(tryAgainMs(failures++), signal)
        }
      }
    },

    async answer(request, answer, signal) {
      for (let failures = 0; ; failures += 1) {
        try {
          return await answers.send(request, answer, signal)
        } catch (error) {
          if (!(error instanceof TryLater)) throw error
          if (failures === SILENT_TRIES)
            onError(new Error(`The answer to ${request.id} was sent ${failures + 1} times: ${error.message}`))
          await pause(error.afterMs + tryAgainMs(failures), signal)
        }
      }
    },

    async settle(message) {
      const { id } = message.kind === 'request' ? message.request : message.notice
      const place = places.get(id)
      places.delete(id)
      ending.delete(id)
      if (message.kind === 'notice') remember(id)
      if (place) await streams.acknowledge(place)
    },
    leave,
    onClosed(listener) {
      streams.onGone(({ stream, entry }) => {
        for (const [id, place] of places) {
          if (place.stream !== stream || place.entry !== entry) continue
          ending.add(id)
          listener(id)
        }
      })
    },
    async close() {
      closing.abort()
    },
  }

  function remember(id: string): void {
    told.add(id)
    if (told.size > NOTICES_REMEMBERED) told.delete(told.values().next().value!)
  }
}

/** How far the clock of Redis, which is near that of the servers, is ahead of ours. */
async function clockAhead(redis: RedisClient): Promise<number> {
  const [seconds, micros] = await redis.time()
  return Number(seconds) * 1_000 + Number(micros) / 1_000 - Date.now()
}

/** Its deadline by our clock. */
function messageOf(sent: Sent, aheadMs: number): Message {
  const { id, role, subject, body, step, execution, createdAt, deadlineAt } = sent
  const notice: AgentNotice = { id, role, subject, body, step, execution, createdAt: new Date(createdAt) }
  if (sent.type === 'notice') return { kind: 'notice', notice }
  return { kind: 'request', request: { ...notice, deadlineAt: new Date(Date.parse(deadlineAt!) - aheadMs) } }
}
