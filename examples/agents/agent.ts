/**
 * One agent as a process: answers what its roles are asked, and prints what they are told. `AGENT_KEY` is its API key, `AGENT_ROLES` its
 * roles, separated by commas, `SLUICE_URL` the API; with `REDIS_URL` it works over Redis.
 */
import { createAgent } from '../../clients/agent/agent.ts'
import { decide } from './rules.ts'

const { env } = process
const roles = (env['AGENT_ROLES'] ?? '').split(',')
const redis = env['REDIS_URL']
const say = (line: string): void => console.log(`${roles.join('+')}: ${line}`)

const agent = createAgent({
  url: env['SLUICE_URL'] ?? `http://127.0.0.1:${env['PORT'] ?? '4000'}/graphql`,
  apiKey: env['AGENT_KEY'] ?? '',
  roles,
  ...(redis && { redis }),
  onRequest: decide,
  onAnswered: ({ id, subject }, { decision }, became) =>
    say(became === 'ACCEPTED' ? `${decision} ${subject} (${id})` : `too late for ${subject} (${id})`),
  onNotice: ({ subject, body }) => say(`told: ${subject} ${JSON.stringify(body)}`),
  onError: (error) => say(error instanceof Error ? error.message : String(error)),
})

await agent.start()
say(`there, over ${redis ? 'Redis' : 'GraphQL'}`)
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void agent.stop())
const why = await agent.ended
if (why) {
  say(why.message)
  process.exitCode = 1
}
