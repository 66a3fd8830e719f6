/**
 * The agents of `feature_approval` (`npm run agents`, beside a running server): makes a key for each, lets their roles answer, and starts a
 * process for each. `SLUICE_URL` and `SLUICE_ADMIN_PASSWORD` lead it to a server elsewhere, `REDIS_URL` to the Redis of a fleet.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { signIn } from '../../clients/feed/session.ts'

const { env } = process
const url = env['SLUICE_URL'] ?? `http://127.0.0.1:${env['PORT'] ?? '4000'}/graphql`
const password =
  env['SLUICE_ADMIN_PASSWORD'] ?? readFileSync(join(env['SLUICE_DATA_DIR'] ?? '.sluice', 'admin-password'), 'utf8').trim()
const AGENT = fileURLToPath(new URL('agent.ts', import.meta.url))
const ROLES = ['ceo', 'cto', 'product_manager']

const { run } = await signIn({ url }, { email: 'admin@sluice.local', password })

const { flow } = await run<{ flow: { id: string } }>('{ flow(name: "feature_approval") { id } }')
await run(
  `mutation ($flowId: ID!, $grants: [FlowGrantInput!]!) {
    grantFlowAccess(input: { flowId: $flowId, grants: $grants }) { ... on Problem { message } }
  }`,
  { flowId: flow.id, grants: ROLES.map((agentRole) => ({ to: { agentRole }, action: 'EXECUTE' })) },
)

/** Good for a day: each run makes new ones. */
async function keyOf(role: string): Promise<string> {
  const { createApiKey } = await run<{ createApiKey: { secret?: string; message?: string } }>(
    `mutation ($name: String!, $roles: [String!]!) {
      createApiKey(input: { name: $name, agentRoles: $roles, scopes: [REQUESTS_ANSWER], lifetime: "P1D" }) {
        ... on CreateApiKeySuccess { secret }
        ... on Problem { message }
      }
    }`,
    { name: `example ${role}`, roles: [role] },
  )
  if (createApiKey.secret === undefined) throw new Error(createApiKey.message)
  return createApiKey.secret
}

const agents = await Promise.all(
  ROLES.map(async (role) =>
    spawn(process.execPath, [AGENT], {
      env: { ...env, SLUICE_URL: url, AGENT_KEY: await keyOf(role), AGENT_ROLES: role },
      stdio: 'inherit',
    }),
  ),
)
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => {
    for (const agent of agents) agent.kill(signal)
  })
await Promise.all(agents.map((agent) => once(agent, 'exit')))
