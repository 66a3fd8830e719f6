/** Where a drill takes place: a database and a Redis of its own on this machine, or those of a fleet, which it shares with others. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
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
  /** as the application's role reaches it, without a proxy */
  readonly databaseUrl: string
  readonly redisUrl?: string | undefined
  readonly leaseMs: number
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
/** What a process needs of the machine, and nothing of what it is told to do. */
const OF_THE_MACHINE = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'USER']

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
        ...only(environment, OF_THE_MACHINE),
        DATABASE_OWNER_URL: postgres.ownerUrl,
        SLUICE_DATA_DIR: dataDir,
        SLUICE_LEASE_MS: String(OWN_LEASE_MS),
      },
      databaseUrl: postgres.appUrl,
      redisUrl: redis?.url,
      leaseMs: OWN_LEASE_MS,
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
const OF_OTHERS = ['PORT', 'HOST', 'SLUICE_METRICS_PORT', 'SLUICE_PUBLIC_URL', 'DATABASE_URL', 'REDIS_URL']

export function openFleetSite(environment: Readonly<Record<string, string | undefined>>, config: Config): Site {
  const { database, fleet, engine } = config
  const names = Object.keys(environment).filter((name) => !OF_OTHERS.some((other) => name === other || name === `${other}_FILE`))
  return {
    kind: 'FLEET',
    environment: only(environment, names),
    databaseUrl: database.url!,
    redisUrl: fleet.redisUrl,
    leaseMs: engine.leaseMs,
    close: async () => undefined,
  }
}

const only = (environment: Readonly<Record<string, string | undefined>>, names: readonly string[]): Record<string, string> =>
  Object.fromEntries(names.flatMap((name) => (environment[name] === undefined ? [] : [[name, environment[name]]])))

/** A directory of the drill's own; `remove` takes it away with all that is in it. */
export async function makeDirectory(): Promise<{ path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), `sluice-drill-${process.pid}-`))
  return { path, remove: () => rm(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 }) }
}
