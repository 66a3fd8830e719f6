/** The API without a network: documents executed against the schema, as anybody, on a test database with a running engine. */
import { randomBytes } from 'node:crypto'
import type { TypedDocumentNode } from '@graphql-typed-document-node/core'
import { graphql, print } from 'graphql'
import { Registry } from 'prom-client'
import { afterAll } from 'vitest'
import { openScheduler } from '../../src/app/triggers.ts'
import { schema } from '../../src/api/schema.ts'
import { feedOpeners } from '../../src/app/feeds.ts'
import { createCalls } from '../../src/api/context.ts'
import { AuditEvent } from '../../src/audit/entities/audit-event.ts'
import { createAuditWriter } from '../../src/audit/audit-writer.ts'
import { SecurityEvent } from '../../src/audit/entities/security-event.ts'
import { createSecurityRoom } from '../../src/audit/security-room.ts'
import { createSealedHead } from '../../src/audit/sealed-head.ts'
import { ENGINE_ENTITIES } from '../../src/engine/entities/all.ts'
import { addressKey } from '../../src/fleet/address-key.ts'
import { createMemoryLimiter } from '../../src/fleet/memory-limiter.ts'
import { createAttemptLimiter } from '../../src/identity/attempt-limiter.ts'
import { createAuthChanges } from '../../src/identity/auth-changes.ts'
import { createIdentity, IDENTITY_ENTITIES } from '../../src/identity/identity.ts'
import { createMailRoom } from '../../src/identity/mail-room.ts'
import { createGuardedClient } from '../../src/outbound/guarded-client.ts'
import type { GuardedClientOptions } from '../../src/outbound/guarded-client.ts'
import { createOutbox } from '../../src/outbound/mail.ts'
import { createHttpRunner } from '../../src/engine/acts/http-runner.ts'
import type { QuerySource } from '../../src/database/query-source.ts'
import { createQueryRunner } from '../../src/engine/acts/query-runner.ts'
import { watchSteps } from '../../src/engine/watch-steps.ts'
import { createHandlerHost } from '../../src/engine/handlers/handler-host.ts'
import { loadHandlers } from '../../src/engine/handlers/load-handlers.ts'
import type { SecurityConfig } from '../../src/config/config-types.ts'
import type { Logger } from '../../src/log.ts'
import type { SecretKeys } from '../../src/identity/secret-keys.ts'
import { createSecretKeys } from '../../src/identity/secret-keys.ts'
import { noteRefusedCall } from '../../src/operations/executions/note-refused-call.ts'
import { createOpenSecrets } from '../../src/operations/secrets/open-secrets.ts'
import type { Principal, Role, UserPrincipal } from '../../src/identity/principal.ts'
import { createLocalBus } from '../../src/fleet/local-bus.ts'
import { insertUser } from '../../src/identity/users.ts'
import { DEFAULT_ROLES } from '../../src/language/roles.ts'
import { loadSqlParser } from '../../src/language/sql/sql-parser.ts'
import { createLog } from '../../src/log.ts'
import { createFeeds } from '../../src/live/feeds.ts'
import { queryIn } from '../../src/database/database.ts'
import { auditReads } from '../../src/operations/audit/audit-reads.ts'
import { HANDLER_PROCESSES } from './handler-processes.ts'
import { pulledFeeds } from './pulled-feeds.ts'
import type { WhoMaySee } from '../../src/live/execution-topic.ts'
import { whoMaySee } from '../../src/operations/executions/who-may-see.ts'
import { admitStarts } from '../../src/operations/executions/admit-starts.ts'
import { createChooseChild } from '../../src/operations/executions/choose-child.ts'
import type { Services } from '../../src/operations/call.ts'
import type { Context } from '../../src/api/context.ts'
import { auditKeys } from './audit-keys.ts'
import { NO_SECURITY_EVENTS } from './security-limits.ts'
import { inlineRegistry, testEngine } from './engine.ts'
import type { InlineHandlers } from './engine.ts'
import { testDatabase } from './test-database.ts'
import { createTriggers } from '../../src/triggers/create-triggers.ts'
import { TRIGGER_ENTITIES } from '../../src/triggers/entities/all.ts'

const ENTITIES = [...ENGINE_ENTITIES, AuditEvent, SecurityEvent, ...IDENTITY_ENTITIES, ...TRIGGER_ENTITIES]

export interface TestApiOptions {
  handlers?: InlineHandlers
  /** of handlers that run in processes, instead of `handlers` */
  handlersDirectory?: string
  /** what queries may read */
  sources?: readonly QuerySource[]
  log?: Logger
  secretKeys?: SecretKeys
  /** of the client that `http` steps call through: nothing but public addresses by default */
  outbound?: Partial<GuardedClientOptions>
  runningPerInitiator?: number
  flowWritesPerMinute?: number
  security?: SecurityConfig
  /** how often feeds of executions tell what has changed, at most */
  feedPaceMs?: number
}

// what an untyped document asked for is what its test reads; a wrong read fails the test
// oxlint-disable-next-line no-explicit-any
type Untyped = any

/** What a document answers; `codes` are those of the top-level errors. */
export interface Answer<Data> {
  data: Data
  codes: string[]
  errors: readonly { message: string; extensions?: Record<string, unknown> }[]
}

/** To be called once, at the top of a test file. */
export async function testApi({
  handlers = {},
  handlersDirectory,
  sources = [],
  log = createLog('silent'),
  secretKeys = createSecretKeys(randomBytes(32).toString('hex')),
  outbound = {},
  runningPerInitiator = 1_000_000,
  flowWritesPerMinute = 1_000_000,
  security: securityLimits = NO_SECURITY_EVENTS,
  feedPaceMs,
}: TestApiOptions = {}) {
  const { database, ownerQuery } = await testDatabase({ entities: ENTITIES })
  const processes = { ...HANDLER_PROCESSES, log }
  const registry = handlersDirectory
    ? await loadHandlers({ ...processes, directories: [handlersDirectory] })
    : inlineRegistry(handlers)
  const allow = {
    roles: new Set(DEFAULT_ROLES),
    handlers: new Set(registry.keys()),
    sources: new Set(sources.map(({ name }) => name)),
    pools: new Set(['gpu']),
  }
  if (sources.length > 0) await loadSqlParser()
  const bus = createLocalBus(log)
  const host = createHandlerHost({ ...processes, registry })
  afterAll(() => host.close())
  const security = createSecurityRoom({
    ...{ database, keys: auditKeys, limits: securityLimits, addressOf: addressKey, registry: new Registry(), log },
  })
  const openSecrets = createOpenSecrets({ database, keys: secretKeys, auditKeys, security: security.watch, log })
  const client = createGuardedClient({ allow: [], ports: [80, 443], ...outbound })
  afterAll(() => client.close())
  const engine = await testEngine(database, {
    ...{ registry, host, allow, bus, openSecrets, log },
    acts: {
      http: createHttpRunner({ client, log, onRefused: (call) => void noteRefusedCall(services, call) }),
      query: createQueryRunner(new Map(sources.map((source) => [source.name, source]))),
    },
    admitStarts: (starts) => admitStarts(services, starts),
    chooseChild: createChooseChild(() => services),
    mostRunning: runningPerInitiator,
  })
  watchSteps(engine, security.watch.count)
  const jwtSecret = randomBytes(32).toString('hex')
  const authChanges = createAuthChanges({ database, bus, log })
  authChanges.start()
  const signInAttempts = createAttemptLimiter(createMemoryLimiter, 5)
  const outbox = createOutbox()
  const mailRoom = createMailRoom({ database, send: outbox.send, passwordResetUrl: 'https://app.example.com/reset', log })
  const jwtSecrets = { signing: jwtSecret }
  const passwords = { cost: 4 }
  const identity = createIdentity({
    database,
    jwtSecrets,
    secretKeys,
    authChanges,
    signInAttempts,
    passwords,
    mailRoom,
    outbox: outbox.mails,
    agentRoles: allow.roles,
    log,
  })
  const triggers = createTriggers({ database, bus, log })
  afterAll(() => triggers.stop())
  const scheduler = openScheduler({ database, bus, engine, registry: new Registry(), services: () => services, log })
  const services: Services = {
    database,
    engine,
    scheduler,
    identity,
    allow,
    refusals: security.refusals,
    security: security.watch,
    auditKeys,
    writeAudit: createAuditWriter(database),
    auditHead: createSealedHead(auditKeys),
    ...{ patterns: triggers.patterns, patternUses: triggers.patternUses, wakeDeliveries: () => {} },
    limits: {
      ...{ runningPerInitiator, balancedTokens: 1_000 },
      flowWrites: createMemoryLimiter({ name: 'flow-writes', points: flowWritesPerMinute }),
    },
  }
  const { renewPrincipals } = identity
  const settings = {
    ...{ database, bus, log, access: { ...authChanges, renewPrincipals }, masks: engine.masks },
    whoMaySee: (asked: Parameters<WhoMaySee>[0]) => whoMaySee(database, asked),
  }
  const written = createFeeds<string>(settings)
  /** frames as they are; what GraphQL makes of them is `calls`' */
  const feeds = pulledFeeds(settings)
  for (const each of [written, feeds]) {
    each.start()
    afterAll(() => each.stop())
  }
  const calls = createCalls(services, feedOpeners(written, services, feedPaceMs), log)
  afterAll(() => authChanges.stop())
  afterAll(() => security.stop())

  /** A call as the doors make it; without a principal it is anonymous. */
  const call = (principal?: Principal): Context =>
    calls.makeCall({
      ...(principal && { principal }),
      origin: { ip: '192.0.2.1' },
      requestId: 'test',
      signal: new AbortController().signal,
    })

  /** Somebody new, as if they had just come in with a token. */
  async function person(role: Role = 'USER'): Promise<UserPrincipal> {
    const handle = `p-${randomBytes(8).toString('hex')}`
    const user = { email: `${handle}@example.com`, handle, name: 'Somebody', role, passwordHash: 'none' }
    const { id } = await database.transaction(async (em) => {
      const stored = await insertUser(em, user)
      if ('taken' in stored) throw new Error(`taken: ${stored.taken.join()}`)
      // what stands on it is looked at again whenever a right changes
      await queryIn(em, `insert into sluice.sessions (id, user_id, expires_at) values ($1, $1, now() + interval '1 day')`, [
        stored.id,
      ])
      return stored
    })
    return { kind: 'USER', id, actsAs: id, role, handle, sessionId: id, expiresAt: Number.MAX_SAFE_INTEGER }
  }

  /** Typed when the document is one of the generated client (`graphql('...')`). */
  async function run<Data = Untyped, Variables = Record<string, unknown>>(
    principal: Principal | undefined,
    document: TypedDocumentNode<Data, Variables> | string,
    variables?: Variables,
  ): Promise<Answer<Data>> {
    const source = typeof document === 'string' ? document : print(document)
    const variableValues = (variables ?? {}) as Record<string, unknown>
    const contextValue = call(principal)
    const { data, errors = [] } = await graphql({ schema, source, variableValues, contextValue })
    await auditReads(contextValue)
    return { data: data as Data, errors, codes: errors.map(({ extensions }) => String(extensions['code'])) }
  }

  /** What the audit log says about whoever did it, oldest first. */
  const audited = (actorId: string): Promise<AuditEvent[]> =>
    database.fork().find(AuditEvent, { actorId }, { orderBy: { id: 'asc' } })

  return {
    ...{ database, ownerQuery, engine, scheduler, services, triggers, security, bus, feeds, written },
    ...{ calls, call, person, run, audited },
  }
}

/** The result of a mutation, which must be of this type. */
export function as<Result extends { __typename?: string }, Name extends Result['__typename'] & string>(
  name: Name,
  result: Result,
): Extract<Result, { __typename?: Name }> {
  if (result.__typename !== name) throw new Error(`expected ${name}, got ${JSON.stringify(result)}`)
  return result as Extract<Result, { __typename?: Name }>
}
