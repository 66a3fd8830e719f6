/** The one table of settings: environment name, meaning, default and shape of each, grouped by the room that receives it. */
import { z } from 'zod'
import {
  allowable,
  databaseUrl,
  dayRange,
  list,
  oneOf,
  overTls,
  password,
  poolName,
  pools,
  path,
  roles,
  strong,
  text,
  url,
  variable,
  verifiedPostgres,
  whole,
  yesOrNo,
} from './shapes.ts'
import { optional, secret, setting } from './setting.ts'
import type { Groups, Settings } from './setting.ts'
import { FLEET_SETTINGS } from './fleet-settings.ts'
import { LIMIT_SETTINGS } from './limit-settings.ts'
import { QUERY_SETTINGS } from './query-settings.ts'
import { SERVER_SETTINGS } from './server-settings.ts'
import { SECURITY_SETTINGS } from './security-settings.ts'
import { WATCH_SETTINGS } from './watch-settings.ts'
import { passwordMistakes } from '../identity/password-rule.ts'
import { DEFAULT_ROLES } from '../language/roles.ts'

/** a hundred years */
const LONGEST_DAYS = 36_500

/** Every field of the configuration has its variable, and every variable its field: the compiler checks it. */
export const SETTINGS: { [G in keyof Groups]: Settings<Groups[G]> } = {
  server: SERVER_SETTINGS,
  database: {
    dataDir: setting(
      'SLUICE_DATA_DIR',
      'Directory of the embedded database and of secrets made in development.',
      '.sluice',
      path,
    ),
    url: secret(
      'DATABASE_URL',
      'PostgreSQL as the application uses it; unset = the embedded one.',
      databaseUrl,
      verifiedPostgres,
    ),
    ownerUrl: secret(
      'DATABASE_OWNER_URL',
      'PostgreSQL as the role that owns the tables and migrates them, never through a pooler; unset = `DATABASE_DIRECT_URL`, else `DATABASE_URL`.',
      databaseUrl,
      verifiedPostgres,
    ),
    directUrl: secret(
      'DATABASE_DIRECT_URL',
      'The PostgreSQL behind `DATABASE_URL`, as the same role, where that is a pooler in transaction mode (PgBouncer); unset = there is none between.',
      databaseUrl,
      verifiedPostgres,
    ),
    readUrl: secret(
      'DATABASE_READ_URL',
      'A streaming standby of `DATABASE_URL`, as the same role, for lists that may be a little stale (docs/operating.md#read-replicas); unset = everything is read where it is written.',
      databaseUrl,
      verifiedPostgres,
    ),
    readLagMs: setting(
      'SLUICE_DATABASE_READ_LAG_MS',
      'How far the standby may be behind and still be read, ms.',
      '5000',
      whole(100, 600_000),
    ),
    // a loop may hold one while it asks for another: the scheduler, the slots
    poolSize: setting(
      'SLUICE_DATABASE_POOL_SIZE',
      'Most connections to PostgreSQL of one process: at least 4.',
      '20',
      whole(4, 1_000),
    ),
  },
  fleet: FLEET_SETTINGS,
  identity: {
    jwtSecret: secret(
      'SLUICE_JWT_SECRET',
      'Signs access tokens (HS256), at least 32 bytes made by chance; development makes its own.',
      text,
      strong,
    ),
    jwtPreviousSecrets: {
      ...setting(
        'SLUICE_JWT_PREVIOUS_SECRETS',
        'Secrets that signed before `SLUICE_JWT_SECRET`, comma-separated: what they signed stays good until it expires (30 minutes).',
        '',
        list(text),
      ),
      secret: true,
      inProduction: (values: readonly string[]) => values.flatMap(strong),
    },
    secretsKey: secret(
      'SLUICE_SECRETS_KEY',
      'Seals the secrets that steps use (AES-256-GCM), at least 32 bytes made by chance; development makes its own.',
      text,
      strong,
    ),
    secretsPreviousKeys: {
      ...setting(
        'SLUICE_SECRETS_PREVIOUS_KEYS',
        'Keys that were `SLUICE_SECRETS_KEY` before, comma-separated: they open, and what they sealed is sealed anew at start.',
        '',
        list(text),
      ),
      secret: true,
      inProduction: (values: readonly string[]) => values.flatMap(strong),
    },
    adminEmail: setting(
      'SLUICE_ADMIN_EMAIL',
      'E-mail of the administrator made at the first start.',
      'admin@sluice.local',
      z.email({ error: 'must be an e-mail address' }) as z.ZodType<string, string>,
    ),
    adminPassword: secret(
      'SLUICE_ADMIN_PASSWORD',
      'Password of the administrator made at the first start; development makes its own.',
      password,
      passwordMistakes,
    ),
  },
  mail: {
    smtpUrl: secret(
      'SLUICE_SMTP_URL',
      'Server that mails go through, `smtps://user:password@host`, or `smtp://` with STARTTLS; unset = development keeps mails for administrators to see (query `outbox`), production sends none.',
      url('smtp', 'smtps'),
      () => [],
    ),
    from: setting('SLUICE_MAIL_FROM', 'Whom mails come from, `Name <address>` or an address.', 'sluice@localhost', text),
    passwordResetUrl: {
      ...optional(
        'SLUICE_PASSWORD_RESET_URL',
        'Page where a new password is chosen; the token follows as `#token=`. Unset = mails hold the token alone.',
        url('http', 'https'),
      ),
      inProduction: overTls,
    },
  },
  outbound: {
    allow: setting(
      'SLUICE_OUTBOUND_ALLOW',
      'What steps and webhooks may call besides public addresses, comma-separated: networks (`10.1.0.0/16`), addresses, or a host with its port (`billing.internal:8080`).',
      '',
      list(allowable),
    ),
    ports: setting(
      'SLUICE_OUTBOUND_PORTS',
      'Ports that they may call, comma-separated; a host that is allowed with its port needs none of them.',
      '80,443',
      list(whole(1, 65_535)),
    ),
  },
  audit: {
    key: secret(
      'SLUICE_AUDIT_KEY',
      'Signs the audit log, at least 32 bytes made by chance; unset = `SLUICE_SECRETS_KEY`, else `SLUICE_JWT_SECRET` (each used apart from its other purpose). What these were is needed to verify what they signed.',
      text,
      strong,
    ),
    previousKeys: {
      ...setting(
        'SLUICE_AUDIT_PREVIOUS_KEYS',
        'Secrets that signed the audit log before, comma-separated: they verify what they signed, and sign nothing.',
        '',
        list(text),
      ),
      secret: true,
    },
    headPath: optional(
      'SLUICE_AUDIT_HEAD_PATH',
      'Where the end of the audit log is remembered, so that cutting it in the database shows; on another volume it is safest. Unset = `audit-head` in the data directory.',
      path,
    ),
  },
  retention: {
    payloadDays: setting(
      'SLUICE_RETAIN_PAYLOADS_DAYS',
      'How long inputs, outputs, step runs and agent requests are kept after the end of their execution, days.',
      '30',
      whole(1, LONGEST_DAYS),
    ),
    flowDays: optional(
      'SLUICE_RETAIN_FLOWS_DAYS',
      'How long flows may say that their payloads are kept (`retention`): `7-90` days, at most as long as events. Unset = they have no say.',
      dayRange,
    ),
    eventDays: setting(
      'SLUICE_RETAIN_EVENTS_DAYS',
      'How long executions and their events are kept after their end, days; at least as long as `SLUICE_RETAIN_PAYLOADS_DAYS`.',
      '90',
      whole(1, LONGEST_DAYS),
    ),
    auditDays: setting('SLUICE_RETAIN_AUDIT_DAYS', 'How long the audit log is kept, days.', '365', whole(30, LONGEST_DAYS)),
    keyHours: setting(
      'SLUICE_RETAIN_KEYS_HOURS',
      'How long an idempotency key answers with its first result, counted from the end of what it started, hours; never longer than the payloads.',
      '24',
      whole(24, 24 * LONGEST_DAYS),
    ),
    auditArchiveDir: optional(
      'SLUICE_AUDIT_ARCHIVE_DIR',
      'Directory that the oldest part of the audit log is written to, as an export that can be verified, before it is removed. Unset = it is removed without.',
      path,
    ),
  },
  security: SECURITY_SETTINGS,
  limits: LIMIT_SETTINGS,
  engine: {
    leaseMs: setting('SLUICE_LEASE_MS', 'How long a silent worker keeps its executions, ms.', '10000', whole(500, 3_600_000)),
    maxHeld: setting('SLUICE_MAX_HELD', 'Most executions that one worker holds at a time.', '1000', whole(1, 100_000)),
    pools: setting('SLUICE_POOLS', 'Pools of work that this worker serves, comma-separated.', 'default', pools),
    poolsAllowed: setting(
      'SLUICE_POOLS_ALLOWED',
      'Pools that flows and steps may name, comma-separated, besides `default` and those that this process serves.',
      '',
      list(poolName),
    ),
    chores: setting(
      'SLUICE_CHORES',
      'Whether this worker also fires schedules, takes what webhooks brought, and talks to agents over Redis. Some worker of a fleet has to.',
      'true',
      yesOrNo,
    ),
    examples: setting(
      'SLUICE_EXAMPLES',
      'Whether the flows and handlers of `examples/` are loaded. In production they never are.',
      'true',
      yesOrNo,
    ),
    handlerProcesses: setting('SLUICE_HANDLER_PROCESSES', 'Processes in which one worker runs handlers.', '2', whole(1, 256)),
    handlerMemoryMb: setting(
      'SLUICE_HANDLER_MEMORY_MB',
      'Most memory of the JavaScript heap of a handler process, MB; with 128 MB more it is the most of the whole process.',
      '512',
      whole(32, 1_000_000),
    ),
    handlerCpuMs: setting(
      'SLUICE_HANDLER_CPU_MS',
      'Most CPU time of one attempt of a handler, all its threads together, ms.',
      '60000',
      whole(10, 86_400_000),
    ),
    handlersDirs: setting('SLUICE_HANDLERS_DIR', 'Directories of handler modules, comma-separated.', '', list(path)),
    handlerEnv: setting(
      'SLUICE_HANDLER_ENV',
      'Variables that handlers get too, comma-separated; never those of Sluice itself.',
      '',
      list(variable),
    ),
    agentRoles: setting('SLUICE_AGENT_ROLES', 'Every role an agent may have, comma-separated.', DEFAULT_ROLES.join(','), roles),
  },
  queries: QUERY_SETTINGS,
  shutdown: {
    delayMs: optional(
      'SLUICE_SHUTDOWN_DELAY_MS',
      'How long a server that is asked to end still takes what comes in, being not ready any more, so that load balancers notice, ms; unset = 5000 in production, else 0.',
      whole(0, 600_000),
    ),
    drainMs: setting(
      'SLUICE_DRAIN_MS',
      'How long a worker that is asked to end lets its handlers go on before it hands their executions back, and a server takes at most to close its sockets one after the other (1 ms each), ms.',
      '5000',
      whole(0, 3_600_000),
    ),
  },
  watch: WATCH_SETTINGS,
  log: {
    level: setting(
      'SLUICE_LOG_LEVEL',
      'How much is logged.',
      'info',
      oneOf('silent', 'fatal', 'error', 'warn', 'info', 'debug', 'trace'),
    ),
  },
  process: {
    nodeEnv: setting(
      'NODE_ENV',
      'In `production` nothing insecure starts.',
      'development',
      oneOf('development', 'test', 'production'),
    ),
  },
}
