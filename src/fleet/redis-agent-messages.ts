/**
 * Messages to agents and from them, in Redis (A14): requests and notices in a stream `messages:<role>`, answers in
 * `workflow:agent_responses`, what became of an answer in `workflow:agent_replies:<fingerprint>`. The same is published on channels of
 * these names. What is in Redis may be lost at any time: it is made again from the database.
 */
import { createHash, randomUUID } from 'node:crypto'
import type { Logger } from '../log.ts'
import { MAX_ANSWER_BYTES } from './agent-messages.ts'
import type { AgentMessages, IncomingMessage } from './agent-messages.ts'
import {
  CLAIM_NONCES,
  DELIVER,
  HEAR,
  HELD,
  INTACT,
  RECEIVE,
  RECLAIM,
  REPLY,
  SETTLE,
  SPARE,
  TAKEN,
  WITHDRAW,
} from './agent-scripts.ts'
import { keepListening } from './keep-listening.ts'
import type { RedisClient, RedisConnection } from './redis-connection.ts'
import { listenToRedis } from './redis-ear.ts'

/** The names are the protocol's: docs/agents.md. */
const RESPONSES = 'workflow:agent_responses'
const messagesTo = (role: string): string => `messages:${role}`
const repliesTo = (fingerprint: string): string => `workflow:agent_replies:${fingerprint}`
/** The group that all agents of a role read in. */
const AGENTS = 'agents'
const SERVERS = 'sluice'
/** By which key what lies there was signed; it is there as long as Redis loses nothing. */
const KEPT = 'sluice:agents:kept'

/** Answers that wait for a server: beyond, the oldest are dropped. Whoever gets no reply sends again. */
const MOST_ANSWERS = 100_000
/** What servers put into the stream of a role is less. */
const MOST_HELD = 10_000
/** Entries of it that no server put there: agents pass them by, since nobody signed them. */
const MOST_FOREIGN = 10_000
/** Agents of one role, by their names. */
const MOST_AGENTS = 10_000
/** A consumer of answers that was silent for so long is no process any more. */
const PROCESS_SILENT_MS = 3_600_000
/** Published answers that are being put into the stream by this process: what comes beyond is lost, as all that is published may be. */
const MOST_HEARING = 32
/** Every process hears what is published, within much less. */
const HEARD_FOR_MS = 5_000
const MOST_REPLIES = 1_000
const REPLIES_KEPT_MS = 3_600_000
/** All of it is there again; or a node of a cluster is gone, and whoever is there in its place may lack the last of what it had. */
const RETURNS = ['ready', '-node']
/** After a failure it is left alone for so long: all that its loops do is done again. */
const REST_MS = 500
/** What a process took and did not settle within this, another takes. */
const SETTLED_WITHIN_MS = 30_000

/** What somebody made of one key says nothing of the others. */
const IS_OF_ONE_KEY = /^(ERR|WRONGTYPE) /

export interface AgentMessagesOptions {
  readonly redis: Pick<RedisConnection, 'client' | 'reached'>
  readonly log: Logger
}

export function createAgentMessages({ redis, log }: AgentMessagesOptions): AgentMessages {
  const self = randomUUID()
  const heard = new Set<() => void>()
  const back = new Set<() => void>()
  let closed = false
  let restsUntil = 0
  let isAway = false
  let hearing = 0
  let passedBy = 0
  const tellBack = (): void => back.forEach((listener) => listener())

  /** Said once when it goes and once when it is back. */
  async function askRedis<Answer>(question: (client: RedisClient) => Promise<Answer>): Promise<Answer> {
    try {
      if (!redis.client) throw new Error('Redis was not reached yet')
      const answer = await question(redis.client)
      if (isAway) log.info('messages of agents have Redis again')
      isAway = false
      return answer
    } catch (error) {
      if (IS_OF_ONE_KEY.test((error as Error).message)) throw error
      restsUntil = performance.now() + REST_MS
      if (!isAway && !closed)
        log.warn({ why: (error as Error).message }, 'Redis is away: messages of agents wait in the database')
      isAway = true
      throw error
    }
  }
  const run = (script: string, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> =>
    askRedis((client) => client.eval(script, keys.length, ...keys, ...args))
  const ofRole = (role: string): string[] => [messagesTo(role), `{${messagesTo(role)}}:held`]
  const read = async (script: string, most: number, more: readonly number[]): Promise<IncomingMessage[]> =>
    ((await run(script, [RESPONSES], [SERVERS, self, most, MAX_ANSWER_BYTES, ...more])) as RawEntry[]).map(incoming)

  /** What is published goes into the stream, by the first process that hears it: all answers go one way. Nothing = look at the stream. */
  async function hear(text: string): Promise<void> {
    if (text !== '') {
      const kept = text.length > MAX_ANSWER_BYTES ? text.slice(0, MAX_ANSWER_BYTES + 1) : text
      const key = `{${RESPONSES}}:heard:${createHash('sha256').update(kept).digest('base64url')}`
      await run(HEAR, [RESPONSES, key], [kept, HEARD_FOR_MS, MOST_ANSWERS])
    }
    for (const listener of heard) listener()
  }

  async function receivePublished(text: string): Promise<void> {
    if (hearing >= MOST_HEARING) return void (passedBy += 1)
    hearing += 1
    try {
      await hear(text)
    } catch (error) {
      log.warn({ why: (error as Error).message }, 'what an agent published was lost')
    }
    hearing -= 1
    if (hearing > 0 || passedBy === 0) return
    log.warn({ count: passedBy }, 'more was published at once than can be heard')
    passedBy = 0
  }

  function listenAt(client: RedisClient): () => Promise<void> {
    for (const event of RETURNS) client.on(event, tellBack)
    tellBack()
    // that it is lost, the bus says too
    const heard = { isSharded: false, receive: (text: string) => void receivePublished(text) }
    const listening = keepListening({ open: () => listenToRedis(client, RESPONSES, heard), onLost: () => undefined })
    return async () => {
      for (const event of RETURNS) client.off(event, tellBack)
      await listening.stop()
    }
  }
  const listener = redis.reached.then((client) => (closed ? undefined : listenAt(client)))

  return {
    get ready() {
      return redis.client?.status === 'ready' && performance.now() >= restsUntil
    },
    intact: async (publicKey) => (await run(INTACT, [KEPT], [publicKey])) === 1,
    async deliver(role, messages) {
      const args = messages.flatMap(({ id, text, signature }) => [id, text, signature])
      const added = args.length === 0 ? 0 : ((await run(DELIVER, ofRole(role), args)) as number)
      return added < 0 ? undefined : added
    },
    async withdraw(role, ids) {
      if (ids.length > 0) await run(WITHDRAW, ofRole(role), ids)
    },
    held: async (role) => (await run(HELD, ofRole(role), [MOST_HELD, MOST_FOREIGN, AGENTS, MOST_AGENTS])) as string[],
    taken: async (role, ids) => (ids.length === 0 ? [] : ((await run(TAKEN, ofRole(role), [AGENTS, ...ids])) as string[])),
    receive: (most) => read(RECEIVE, most, [MOST_ANSWERS]),
    reclaim: (most) => read(RECLAIM, most, [SETTLED_WITHIN_MS, PROCESS_SILENT_MS]),
    async settle(entries) {
      if (entries.length > 0) await run(SETTLE, [RESPONSES], [SERVERS, ...entries])
    },
    async spare(messages) {
      if (messages.length > 0)
        await run(SPARE, [RESPONSES], [SERVERS, self, ...messages.flatMap(({ entry, failures }) => [entry, failures])])
    },
    async claimNonces(nonces) {
      if (nonces.length === 0) return []
      const keys = nonces.map(({ nonce }) => `{${RESPONSES}}:nonce:${nonce}`)
      const args = nonces.flatMap(({ entry, keptMs }) => [entry, Math.ceil(keptMs)])
      return ((await run(CLAIM_NONCES, keys, args)) as number[]).map((mine) => mine === 1)
    },
    async reply(fingerprint, { text, signature }) {
      await run(REPLY, [repliesTo(fingerprint)], [text, signature, MOST_REPLIES, REPLIES_KEPT_MS])
    },
    onAnswer: (listener) => void heard.add(listener),
    onReady: (listener) => void back.add(listener),
    async close() {
      closed = true
      heard.clear()
      if (redis.client) await (await listener)?.()
    },
  }
}

type RawEntry = [entry: string, bytes: number, fields: string[], taken?: number]

function incoming([entry, bytes, flat, taken = 0]: RawEntry): IncomingMessage {
  const fields: Record<string, string> = {}
  for (let at = 0; at + 1 < flat.length; at += 2) fields[flat[at]!] = flat[at + 1]!
  return { entry, bytes, fields, failures: taken }
}
