/** The part of the composition root that reaches agents over Redis, where there is one: messages to them, and their answers (A14). */
import { Counter } from 'prom-client'
import { createSingleton } from '../fleet/lock.ts'
import type { RedisConnection } from '../fleet/redis-connection.ts'
import { agentRequestChanges } from '../live/change-log.ts'
import type { Logger } from '../log.ts'
import type { Services } from '../operations/call.ts'
import { createAgentInbox } from './agent-inbox.ts'
import { createAgentOutbox } from './agent-outbox.ts'
import type { Ground } from './ground.ts'

/** Of one key; what the API lets it ask comes on top. */
const ANSWERS_PER_MINUTE = 6_000
/** How long nobody delivers after the process that did has died. */
const LEAD_MS = 10_000

/** Started, and stopped with the stack. */
export async function openAgents(ground: Ground, services: Services): Promise<void> {
  const { database, bus, locks, createLimiter, registry, stack } = ground
  const log = ground.log.child({ room: 'agents' })
  const redis = await reachRedis(ground, log)
  if (!redis) return
  // read in here: most servers have no Redis
  const { createAgentMessages } = await import('../fleet/redis-agent-messages.ts')
  const messages = createAgentMessages({ redis, log })
  stack.defer(() => messages.close())
  const limiter = createLimiter({ name: 'agent-answers', points: ANSWERS_PER_MINUTE })
  const leader = createSingleton(locks, 'agent-messages', LEAD_MS)
  stack.defer(() => leader.stop())
  const outbox = createAgentOutbox({ services, messages, changes: agentRequestChanges(database), bus, leader, log })
  const inbox = createAgentInbox({ messages, door: { services, messages, limiter, log }, log })
  const registers = [registry]
  const delivered = new Counter({
    ...{ name: 'sluice_agent_messages_total', help: 'Messages that were put into the streams of agents.', registers },
  })
  const answers = new Counter({
    ...{
      name: 'sluice_agent_answers_total',
      help: 'Answers of agents that came over Redis.',
      labelNames: ['outcome'],
      registers,
    },
  })
  outbox.onDelivered = (count) => delivered.inc(count)
  inbox.onAnswer = (outcome) => answers.inc({ outcome })
  for (const loop of [outbox, inbox]) {
    loop.start()
    stack.defer(() => loop.stop())
  }
}

/** One of their own, or that of the fleet; undefined where there is none. */
async function reachRedis({ config, redis, stack }: Ground, log: Logger): Promise<RedisConnection | undefined> {
  const { agentsRedisUrl } = config.fleet
  if (agentsRedisUrl === undefined) return redis
  const { connectRedis } = await import('../fleet/redis-connection.ts')
  const own = await connectRedis(agentsRedisUrl, log)
  stack.defer(() => own.close())
  return own
}
