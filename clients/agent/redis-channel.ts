/** Requests over the fleet's Redis: what the server signed is done, once by all agents of a role, and answered with a signature. */
import { hostname } from 'node:os'
import { openAnswers } from './answers.ts'
import { ask, TryLater } from './ask.ts'
import type { Api } from './ask.ts'
import { AgentRefused } from './channel.ts'
import type { AgentNotice, Channel, Message } from './channel.ts'
import { pause, tryAgainMs } from './pause.ts'
import { connectRedis } from './redis-connection.ts'
import type { RedisClient } from './redis-connection.ts'
import { openRoleStreams } from './role-streams.ts'
import type { Entry } from './role-streams.ts'
import { createSigner, isSignedByServer } from './signing.ts'

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

const KEY = 'query AgentKey { agentMessageKey }'
const BODY = 'query AgentBody($id: ID!) { node(id: $id) { ... on AgentRequest { request } } }'
/** The server may have another key since; it is not asked for each forged message. */
const ASK_KEY_EVERY_MS = 10_000
const NOTICES_REMEMBERED = 10_000
/** When the API could not give the body of a request. */
const BODY_AGAIN_MS = 1_000
/** What is not taken for so long is told: what the server refuses without a reply is in its audit log alone. */
const SILENT_TRIES = 2

/** Resolves when Redis was reached. */
export async function openRedisChannel(options: RedisChannelOptions): Promise<Channel> {
  const { url, apiKey, roles, name = hostname(), onError } = options
  const api = { url, apiKey }
  const verified = createVerifier(api, options.serverKey)
  const redis = await connectRedis(options.redis, onError)
  const aheadMs = await clockAhead(redis)
  const streams = openRoleStreams(redis, roles, name)
  const answers = await openAnswers({ redis, signer: createSigner(apiKey), verified })
  /** where the messages lie that were given out, by their ids */
  const places = new Map<string, Entry>()
  /** left, and to be given out again at that time, ms since 1970 */
  const left = new Map<string, { readonly message: Message; readonly at: number }>()
  const told = new Set<string>()
  /** of requests that somebody is still about, and that are not where they were given out: they are being ended */
  const ending = new Set<string>()

  async function read(entry: Entry): Promise<Message | undefined> {
    const text = await verified(entry.fields)
    if (text === undefined) {
      onError(new Error(`A message in ${entry.stream} is not signed by the server.`))
      await streams.acknowledge(entry)
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

  /** Another agent takes it when this one has been silent about it for a while; until then it may try again itself. */
  function leave(message: Message, forMs: number): void {
    const { id } = message.kind === 'request' ? message.request : message.notice
    const place = places.get(id)
    ending.delete(id)
    if (!place) return
    const isForGood = message.kind === 'request' && Date.now() + forMs >= message.request.deadlineAt.getTime()
    if (isForGood) {
      places.delete(id)
      streams.letGo(place, true)
    } else left.set(id, { message, at: Date.now() + forMs })
  }

  function again(most: number): Message[] {
    const now = Date.now()
    const due = [...left].filter(([, { at }]) => at <= now).slice(0, most)
    for (const [id] of due) left.delete(id)
    return due.map(([, { message }]) => message)
  }

  return {
    async next(most, signal) {
      for (let failures = 0; ;) {
        signal.throwIfAborted()
        try {
          const due = again(most)
          const messages = await whole(due.length > 0 ? due : await readAll(await streams.next(most)))
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
          if (!left.has(id)) ending.add(id)
          listener(id)
        }
      })
    },
    async close() {
      answers.close()
      streams.close()
      redis.disconnect()
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

/** Gives the text of what the server signed. When it may have another key than is known here, the API is asked; rejects when that fails. */
function createVerifier(
  api: Api,
  given: string | undefined,
): (fields: Readonly<Record<string, string>>) => Promise<string | undefined> {
  let key = given
  let askedAt = Number.NEGATIVE_INFINITY
  return async ({ message = '', signature = '' }) => {
    if (key !== undefined && isSignedByServer(message, signature, key)) return message
    if (given !== undefined || performance.now() - askedAt < ASK_KEY_EVERY_MS) return undefined
    const { agentMessageKey } = await ask<{ agentMessageKey: string }>(api, KEY, {}, AbortSignal.timeout(10_000))
    askedAt = performance.now()
    key = agentMessageKey
    return isSignedByServer(message, signature, key) ? message : undefined
  }
}
