/** Where a drill takes place: a database and a Redis of its own on this machine, or those of a fleet, which it shares with others. */
import { join } from 'node:path'
import type { Config } from '../config/config-types.ts'
import { startEmbedded } from '../database/embedded.ts'
import { waitUntilGone } from '../database/postgres-process.ts'
import type { Logger } from '../log.ts'
import { hasRedisServer, startOwnRedis } from './own-redis.ts'

export interface Site {
  /** FLEET: others work with the same database, and only what is between it and the drill's processes may be harmed */
  readonly kind: 'OWN' | 'FLEET'
  /** of the drill's processes; their URLs lead through proxies instead */
  readonly environment: Readonly<Record<string, string>>
  /** the server itself, as the application's role reaches it: for the drill's own eyes */
  readonly databaseUrl: string
  /** the settings by which processes find it, each of which leads through a proxy: `DATABASE_URL`, and `DATABASE_DIRECT_URL` if there is one */
  readonly databases: Readonly<Record<string, string>>
  readonly redisUrl?: string | undefined
  /** Ends PostgreSQL at once, without a checkpoint; resolves when it is gone. It comes back by itself. */
  crashPostgres?(): Promise<void>
  /** Ends Redis with everything in it. */
  killRedis?(): Promise<void>
  startRedis?(): Promise<void>
  close(): Promise<void>
}

/** Short, so that a drill takes a minute; what it shows holds for a longer one too. */
const OWN_LEASE_MS = 3_000
const GONE_WITHIN_MS = 10_000
/** What may be set for a drill as for any fleet, to see what comes of it. */
const TO_TRY = ['SLUICE_LEASE_MS', 'SLUICE_DISPATCH']
/** What a process needs of the machine, and nothing of what it is told to do. */
const OF_THE_MACHINE = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'USER', 'NODE_COMPILE_CACHE']

/** Made in `directory`, which is removed by whoever made it. */
export async function openOwnSite(
  environment: Readonly<Record<string, string | undefined>>,
  directory: string,
  log: Logger,
): Promise<Site> {
  const stack = new AsyncDisposableStack()
  try {
    const dataDir = join(directory, 'data')
    const postgres = await startEmbedded({ dataDir, log })
    stack.defer(() => postgres.stop())
    const redis = hasRedisServer() ? await startOwnRedis(directory) : undefined
    if (redis) stack.defer(() => redis.kill())
    return {
      kind: 'OWN',
      environment: {
        SLUICE_LEASE_MS: String(OWN_LEASE_MS),
        ...only(environment, [...OF_THE_MACHINE, ...TO_TRY]),
        DATABASE_OWNER_URL: postgres.ownerUrl,
        SLUICE_DATA_DIR: dataDir,
      },
      databaseUrl: postgres.appUrl,
      databases: { DATABASE_URL: postgres.appUrl },
      redisUrl: redis?.url,
      async crashPostgres() {
        const { pid } = postgres
        process.kill(pid, 'SIGQUIT')
        await waitUntilGone(pid, GONE_WITHIN_MS)
      },
      ...(redis && { killRedis: redis.kill, startRedis: redis.start }),
      close: () => stack.disposeAsync(),
    }
  } catch (error) {
    await stack.disposeAsync()
    throw error
  }
}

/** Settings that are about one process alone. */
const OF_OTHERS = [
  'PORT',
  'HOST',
  'SLUICE_METRICS_PORT',
  'SLUICE_PUBLIC_URL',
  'DATABASE_URL',
  'DATABASE_DIRECT_URL',
  'REDIS_URL',
  'SLUICE_POOLS',
]

export function openFleetSite(environment: Readonly<Record<string, string | undefined>>, config: Config): Site {
  const { database, fleet } = config
  const names = Object.keys(environment).filter((name) => !OF_OTHERS.some((other) => name === other || name === `${other}_FILE`))
  return {
    kind: 'FLEET',
    environment: only(environment, names),
    databaseUrl: database.directUrl ?? database.url!,
    databases: { DATABASE_URL: database.url!, ...(database.directUrl && { DATABASE_DIRECT_URL: database.directUrl }) },
    redisUrl: fleet.redisUrl,
    close: async () => undefined,
  }
}

const only = (environment: Readonly<Record<string, string | undefined>>, names: readonly string[]): Record<string, string> =>
  Object.fromEntries(names.flatMap((name) => (environment[name] === undefined ? [] : [[name, environment[name]]])))
