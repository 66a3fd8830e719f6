/** A whole server on a port, in the test's process; somebody who is signed in; and followers that remember what they were told. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import type { Feed, FeedState } from '../../clients/feed/feed.ts'
import { signIn } from '../../clients/feed/session.ts'
import type { Session } from '../../clients/feed/session.ts'
import { startApp } from '../../src/app/app.ts'
import { loadConfig } from '../../src/config/config.ts'
import { createLog } from '../../src/log.ts'
import { testDatabase } from '../harness/test-database.ts'

export const JWT_SECRET = randomBytes(32).toString('hex')
const PASSWORD = 'Of-the-clients-1'

/** Until the end of the file. `more`: settings of the test's own. */
export async function runningServer(more: Readonly<Record<string, string>> = {}) {
  const { env, ownerQuery } = await testDatabase()
  const directory = await mkdtemp(join(tmpdir(), 'sluice-clients-'))
  const settings = {
    ...{ SLUICE_DATA_DIR: directory, PORT: '0', SLUICE_LOG_LEVEL: 'fatal', SLUICE_JWT_SECRET: JWT_SECRET },
    ...{ SLUICE_ADMIN_PASSWORD: PASSWORD, SLUICE_LIMIT_API_PER_MINUTE: '100000', SLUICE_LIMIT_SIGN_IN_PER_MINUTE: '1000' },
  }
  const config = loadConfig({ ...env, ...settings, ...more }, { mode: 'start' })
  const onFatal = (error: Error): void => {
    throw error
  }
  const app = await startApp({ config, environment: {}, log: createLog('fatal'), serve: true, work: true, onFatal })
  afterAll(async () => {
    await app.stop()
    await rm(directory, { recursive: true, force: true })
  })
  const url = `${app.url}/graphql`
  const session = await signIn({ url }, { email: config.identity.adminEmail, password: PASSWORD })
  return { url, origin: app.url!, password: PASSWORD, session, ownerQuery, start: startOf(session) }
}

/** Starts an execution of a flow; its id. */
export const startOf =
  ({ run }: Session) =>
  async (flow: string, input: object): Promise<string> => {
    const { startExecution } = await run<{ startExecution: { execution?: { id: string }; message?: string } }>(
      `mutation ($flow: String!, $input: JSON!) { startExecution(input: { flow: $flow, input: $input }) {
        ... on StartExecutionSuccess { execution { id } } ... on Problem { message } } }`,
      { flow, input },
    )
    if (!startExecution.execution) throw new Error(startExecution.message)
    return startExecution.execution.id
  }

/** The history as the API has it. */
export async function historyOf({ run }: Session, id: string): Promise<{ seq: number }[]> {
  const all: { seq: number }[] = []
  for (let page = 500; page === 500;) {
    const { execution } = await run<{ execution: { events: { seq: number }[] } }>(
      `query ($id: ID!, $after: Int!) { execution(id: $id) { events(after: $after, first: 500) { seq type at step path attempt data } } }`,
      { id, after: all.at(-1)?.seq ?? 0 },
    )
    all.push(...execution.events)
    page = execution.events.length
  }
  return all
}

/** Answers the question that this execution asks. */
export async function approve({ run }: Session, id: string): Promise<void> {
  const { execution } = await run<{ execution: { waitingFor: { agentRequest: { id: string } } } }>(
    'query ($id: ID!) { execution(id: $id) { waitingFor { agentRequest { id } } } }',
    { id },
  )
  await run('mutation ($id: ID!) { answerAgentRequest(input: { id: $id, decision: APPROVE }) { __typename } }', {
    id: execution.waitingFor.agentRequest.id,
  })
}

export interface Follower<View> {
  readonly feed: Feed<View>
  /** every status that it had, in their order */
  readonly statuses: readonly string[]
  /** Resolves with the first state, of now or later, that is like this. */
  until(isIt: (state: FeedState<View>) => boolean): Promise<FeedState<View>>
  stop(): void
}

export function follow<View>(feed: Feed<View>): Follower<View> {
  const statuses: string[] = [feed.state.status]
  const waiting = new Set<(state: FeedState<View>) => void>()
  const stop = feed.subscribe((state) => {
    if (statuses.at(-1) !== state.status) statuses.push(state.status)
    for (const look of waiting) look(state)
  })
  return {
    ...{ feed, statuses, stop },
    until: (isIt) =>
      new Promise((resolve) => {
        const look = (state: FeedState<View>): void => {
          if (!isIt(state)) return
          waiting.delete(look)
          resolve(state)
        }
        waiting.add(look)
        look(feed.state)
      }),
  }
}
