/** The API without a network: documents executed against the schema, as anybody, on a test database with a running engine. */
import { randomBytes } from 'node:crypto'
import { graphql } from 'graphql'
import { afterAll } from 'vitest'
import { schema } from '../../src/api/schema.ts'
import { createCalls } from '../../src/api/context.ts'
import { AuditEvent } from '../../src/audit/entities/audit-event.ts'
import { Refusals } from '../../src/audit/refusals.ts'
import { AgentRequest } from '../../src/engine/entities/agent-request.ts'
import { Execution } from '../../src/engine/entities/execution.ts'
import { FlowVersion } from '../../src/engine/entities/flow-version.ts'
import { Flow } from '../../src/engine/entities/flow.ts'
import { StepRun } from '../../src/engine/entities/step-run.ts'
import { localAttemptLimiter } from '../../src/identity/attempt-limiter.ts'
import { createIdentity, IDENTITY_ENTITIES } from '../../src/identity/identity.ts'
import type { Principal, Role } from '../../src/identity/principal.ts'
import { insertUser } from '../../src/identity/users.ts'
import { DEFAULT_ROLES } from '../../src/language/roles.ts'
import { createLog } from '../../src/log.ts'
import type { Call, Services } from '../../src/operations/call.ts'
import { inlineRegistry, testEngine } from './engine.ts'
import type { InlineHandlers } from './engine.ts'
import { testDatabase } from './test-database.ts'

const ENTITIES = [Flow, FlowVersion, Execution, StepRun, AgentRequest, AuditEvent, ...IDENTITY_ENTITIES]

export interface TestApiOptions {
  handlers?: InlineHandlers
  runningPerInitiator?: number
}

/** What a document answers; `codes` are those of the top-level errors. */
export interface Answer {
  // what a test asked for is what it reads; a wrong read fails the test
  // oxlint-disable-next-line no-explicit-any
  data: any
  codes: string[]
  errors: readonly { message: string; extensions?: Record<string, unknown> }[]
}

/** To be called once, at the top of a test file. */
export async function testApi({ handlers = {}, runningPerInitiator = 1_000_000 }: TestApiOptions = {}) {
  const { database, ownerQuery } = await testDatabase({ entities: ENTITIES })
  const log = createLog('silent')
  const registry = inlineRegistry(handlers)
  const allow = { roles: new Set(DEFAULT_ROLES), handlers: new Set(registry.keys()) }
  const engine = await testEngine(database, { registry, allow })
  const jwtSecret = randomBytes(32).toString('hex')
  const identity = createIdentity({ database, jwtSecret, signInAttempts: localAttemptLimiter(5), passwords: { cost: 4 } })
  const refusals = new Refusals({ database, log })
  const services: Services = { database, engine, identity, allow, refusals, limits: { runningPerInitiator } }
  const calls = createCalls(services, log)
  afterAll(() => refusals.stop())

  /** A call as the doors make it; without a principal it is anonymous. */
  const call = (principal?: Principal): Call =>
    calls({ ...(principal && { principal }), origin: { ip: '192.0.2.1' }, requestId: 'test', signal: new AbortController().signal })

  /** Somebody new, as if they had just come in with a token. */
  async function person(role: Role = 'USER'): Promise<Principal> {
    const handle = `p-${randomBytes(8).toString('hex')}`
    const user = { email: `${handle}@example.com`, handle, name: 'Somebody', role, passwordHash: 'none' }
    const stored = await database.transaction((em) => insertUser(em, user))
    if ('taken' in stored) throw new Error(`taken: ${stored.taken.join()}`)
    return { kind: 'USER', id: stored.id, role, handle, sessionId: stored.id, expiresAt: Number.MAX_SAFE_INTEGER }
  }

  async function run(principal: Principal | undefined, source: string, variableValues: Record<string, unknown> = {}): Promise<Answer> {
    const { data, errors = [] } = await graphql({ schema, source, variableValues, contextValue: call(principal) })
    return { data, errors, codes: errors.map(({ extensions }) => String(extensions['code'])) }
  }

  /** What the audit log says about whoever did it, oldest first. */
  const audited = (actorId: string): Promise<AuditEvent[]> => database.fork().find(AuditEvent, { actorId }, { orderBy: { id: 'asc' } })

  return { database, ownerQuery, engine, services, call, person, run, audited }
}
