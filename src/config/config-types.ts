/** The configuration as rooms receive it: each its own group. Names and defaults of the variables are in `settings.ts`. */

export interface ServerConfig {
  /** address to listen on, 127.0.0.1 */
  readonly host: string
  /** 4000; 0 = a free one */
  readonly port: number
  /** of `/metrics`; none = no metrics are served */
  readonly metricsPort?: number
  /** where browsers reach the server through a proxy */
  readonly publicUrl?: string
  /** addresses and networks of the proxies before the server, none */
  readonly trustedProxies: readonly string[]
  /** exact origins whose pages may call, besides the server's own (E4) */
  readonly allowedOrigins: readonly string[]
  /** absolute; files and directories of persisted operations, none */
  readonly persistedOperations: readonly string[]
  /** nothing but persisted operations runs, false */
  readonly persistedOnly: boolean
  /** WebSockets of one principal open in one process, 100 */
  readonly socketsPerPrincipal: number
  /** WebSockets of one address that have not said yet who they are, 100 */
  readonly unnamedSocketsPerAddress: number
  /** event streams of one principal open in one process, 100 */
  readonly streamsPerPrincipal: number
}

export interface DatabaseConfig {
  /** absolute; of the embedded database and of secrets made in development, `.sluice` */
  readonly dataDir: string
  /** none = the embedded one */
  readonly url?: string
  /** of the role that migrates; none = `directUrl`, else `url` */
  readonly ownerUrl?: string
  /** the server itself, where `url` is a pooler that shares connections between transactions; none = it is none */
  readonly directUrl?: string
  /** a streaming standby, for what may be stale; none = everything is read where it is written */
  readonly readUrl?: string
  /** further behind the standby is not read, 5,000 */
  readonly readLagMs: number
  /** most connections of one process, 20 */
  readonly poolSize: number
}

export interface FleetConfig {
  /** none = one process, which needs none */
  readonly redisUrl?: string
  /** of agents alone; undefined = `redisUrl` */
  readonly agentsRedisUrl?: string
  /** by what ready executions find workers */
  readonly dispatch: 'postgres' | 'redis'
}

export interface IdentityConfig {
  /** signs access tokens; always there when serving in production, else see `developmentSecrets` */
  readonly jwtSecret?: string
  /** signed before `jwtSecret` and still verify, none */
  readonly jwtPreviousSecrets: readonly string[]
  /** seals the secrets that steps use; always there in production, else see `developmentSecrets` */
  readonly secretsKey?: string
  /** open what was sealed before the key was changed, none */
  readonly secretsPreviousKeys: readonly string[]
  /** admin@sluice.local */
  readonly adminEmail: string
  /** of the administrator made at the first start */
  readonly adminPassword?: string
}

export interface MailConfig {
  /** none = development keeps mails for administrators to see, production sends none */
  readonly smtpUrl?: string
  /** sluice@localhost */
  readonly from: string
  /** the page where a new password is chosen; none = mails hold the token alone */
  readonly passwordResetUrl?: string
}

export interface OutboundConfig {
  /** what may be called besides public addresses: networks, addresses, `host:port`; none */
  readonly allow: readonly string[]
  /** of hosts that are not allowed with a port of their own, 80 and 443 */
  readonly ports: readonly number[]
}

export interface AuditConfig {
  /** signs the audit log; none = the secrets key, else the JWT secret */
  readonly key?: string
  /** still verify what they signed, none */
  readonly previousKeys: readonly string[]
  /** absolute; where the end of the log is remembered outside the database; none = `audit-head` in the data directory */
  readonly headPath?: string
}

export interface RetentionConfig {
  /** inputs, outputs, step runs and agent requests, counted from the end of their execution, 30 (A11) */
  readonly payloadDays: number
  /** how far flows may say themselves how long their payloads are kept, days; none = they have no say */
  readonly flowDays?: { readonly least: number; readonly most: number }
  /** executions with their events, counted from their end, 90; at least `payloadDays` (B10) */
  readonly eventDays: number
  /** the audit log, 365 (B10) */
  readonly auditDays: number
  /** idempotency keys, 24 (E2) */
  readonly keyHours: number
  /** absolute; directory that the oldest part of the audit log is written to before it is removed; none = it is not */
  readonly auditArchiveDir?: string
}

/** From how many of one subject in one window a security event is raised; 0 = from none. */
export interface SecurityConfig {
  /** in which is counted, 600,000 */
  readonly windowMs: number
  /** failed attempts to sign in, of one address or on one account, 20 */
  readonly signInFailures: number
  /** tokens and keys that are not valid, of one address, 50 */
  readonly wrongTokens: number
  /** of one principal or address, 50 */
  readonly refusals: number
  /** requests beyond a limit, of one principal or address, 300 */
  readonly limitsReached: number
  /** of one principal, and `unusualFactor` times as many as usual, 500 */
  readonly unusualRequests: number
  /** executions, of one initiator, and `unusualFactor` times as many as usual, 500 */
  readonly unusualStarts: number
  /** 5 */
  readonly unusualFactor: number
  /** things that one principal reads from lists, 20,000 */
  readonly rowsRead: number
  /** executions that one principal reads unmasked, 50 */
  readonly unmasked: number
  /** attempts of steps of one flow that fail, 100 */
  readonly failedSteps: number
  /** executions of one flow that fail or time out, 20 */
  readonly failedExecutions: number
  /** of one flow, 10 */
  readonly handlerCrashes: number
  /** who is told of each event; none = nobody is */
  readonly webhookUrl?: string
  /** signs what the webhook is told; always there with it */
  readonly webhookSecret?: string
}

export interface LimitsConfig {
  /** API requests per principal, 100 */
  readonly apiPerMinute: number
  /** attempts to sign in per address and account, 5 */
  readonly signInPerMinute: number
  /** flows and versions written per principal, 10 */
  readonly flowWritesPerMinute: number
  /** executions of one initiator that have not ended, 100 (A8) */
  readonly runningPerInitiator: number
  /** children that have not ended; 1000 */
  readonly childrenPerInitiator: number
  /** what a hybrid pattern may cost that `dispatch` takes when it is BALANCED, in tokens; 1000 (C11) */
  readonly balancedTokens: number
}

export interface QuerySourceConfig {
  readonly name: string
  readonly url: string
}

export interface QueriesConfig {
  /** what queries of flows may read, none */
  readonly sources: readonly QuerySourceConfig[]
  /** most connections of one process to each of them, 4 */
  readonly poolSize: number
}

export interface EngineConfig {
  /** how long a silent worker keeps its executions, 10,000 */
  readonly leaseMs: number
  /** executions that one worker holds at a time, 1,000 */
  readonly maxHeld: number
  /** pools that the worker of this process serves, `default` */
  readonly pools: readonly string[]
  /** pools that definitions may name besides `default` and those of this process, none */
  readonly poolsAllowed: readonly string[]
  /** whether the worker of this process also does what one does for all: schedules, webhooks, messages of agents; true */
  readonly chores: boolean
  /** in development: whether the flows and handlers of `examples/` are loaded; true */
  readonly examples: boolean
  /** processes in which one worker runs handlers, 2 */
  readonly handlerProcesses: number
  /** of the heap of each, MB, 512 */
  readonly handlerMemoryMb: number
  /** CPU time of one attempt, 60,000 */
  readonly handlerCpuMs: number
  /** absolute; directories of handler modules, none */
  readonly handlersDirs: readonly string[]
  /** variables of this process that handlers get too, none */
  readonly handlerEnv: readonly string[]
  /** every role an agent may have, `DEFAULT_ROLES` (A2) */
  readonly agentRoles: readonly string[]
}

/** How a process ends that is asked to. */
export interface ShutdownConfig {
  /** for which it still takes what comes in, being not ready any more; none = 5,000 in production, else 0 */
  readonly delayMs?: number
  /** for which handlers may go on, and sockets are closed one after the other, 5,000 */
  readonly drainMs: number
}

/** How `sluice watch` reaches a server. */
export interface WatchConfig {
  /** none = the port of this machine */
  readonly url?: string
  /** an access token or an API key; none = the administrator's password in the data directory */
  readonly token?: string
}

export interface LogConfig {
  /** info */
  readonly level: 'silent' | 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace'
}

export interface Config {
  readonly server: ServerConfig
  readonly database: DatabaseConfig
  readonly fleet: FleetConfig
  readonly identity: IdentityConfig
  readonly mail: MailConfig
  readonly outbound: OutboundConfig
  readonly audit: AuditConfig
  readonly retention: RetentionConfig
  readonly security: SecurityConfig
  readonly limits: LimitsConfig
  readonly engine: EngineConfig
  readonly queries: QueriesConfig
  readonly shutdown: ShutdownConfig
  readonly watch: WatchConfig
  readonly log: LogConfig
  /** development; in production nothing insecure starts */
  readonly nodeEnv: 'development' | 'test' | 'production'
}
