/** The server under attack: Sluice as its own process, in production mode, on loopback, with a database of its own that goes with it. */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Outside } from './outside.ts'

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url))
/** as in `scripts/bootstrap.mjs` */
const FLAGS = ['--max-semi-space-size=8']
const START_MS = 60_000
const NO_LIMITS = '1000000'

export const ADMIN_EMAIL = 'root@attack.example'

export interface Target {
  readonly url: string
  readonly port: number
  readonly jwtSecret: string
  readonly adminPassword: string
  /** what it wrote to standard output and standard error */
  log(): string
  /** What `work` cost the server's process: ms of CPU, which a busy machine does not make more. */
  cpuOf(work: () => Promise<unknown>): Promise<number>
  /** what PostgreSQL wrote to its log */
  databaseLog(): Promise<string>
  stop(): Promise<void>
}

/** Of the source that flows may name. */
export const SOURCE_PASSWORD = 'wrapped-in-an-enigma'

/** `limited`: with the limits that a server has when nobody sets any; else with none that would get in the way of attacks. */
export async function startTarget({ limited, outside }: { limited: boolean; outside: Outside }): Promise<Target> {
  const directory = await mkdtemp(join(tmpdir(), 'sluice-attack-'))
  const secret = (): string => randomBytes(48).toString('base64url')
  const jwtSecret = secret()
  const adminPassword = `Aa1-${randomBytes(24).toString('base64url')}`
  const { PATH = '', HOME = '', TMPDIR = '', NODE_COMPILE_CACHE = '' } = process.env
  const raised = {
    SLUICE_LIMIT_API_PER_MINUTE: NO_LIMITS,
    SLUICE_LIMIT_SIGN_IN_PER_MINUTE: NO_LIMITS,
    SLUICE_LIMIT_FLOW_WRITES_PER_MINUTE: NO_LIMITS,
    SLUICE_LIMIT_RUNNING_PER_INITIATOR: NO_LIMITS,
  }
  const child = spawn(process.execPath, [...FLAGS, MAIN, 'start'], {
    env: {
      ...{ PATH, HOME, TMPDIR, NODE_COMPILE_CACHE, PORT: '0', NODE_ENV: 'production', SLUICE_DATA_DIR: directory },
      ...{ SLUICE_JWT_SECRET: jwtSecret, SLUICE_SECRETS_KEY: secret(), SLUICE_ADMIN_EMAIL: ADMIN_EMAIL },
      ...{ SLUICE_ADMIN_PASSWORD: adminPassword, SLUICE_LOG_LEVEL: 'debug' },
      // nobody answers there
      SLUICE_QUERY_SOURCES: `shop=postgres://reader:${SOURCE_PASSWORD}@localhost:1/shop`,
      ...outside.environment,
      ...(limited ? {} : raised),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text: Buffer) => (output += String(text)))

  async function stop(): Promise<void> {
    if (child.exitCode === null && child.signalCode === null) {
      const gone = once(child, 'exit')
      child.kill('SIGTERM')
      await gone
    }
    await rm(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 })
  }

  try {
    const url = await new Promise<string>((resolve, reject) => {
      const fail = (why: string): void => reject(new Error(`${why}\n${output}`))
      const timer = setTimeout(fail, START_MS, 'the server did not start in time')
      child.once('exit', (code) => fail(`the server ended with ${code}`))
      child.stdout.on('data', () => {
        const found = /GraphiQL +(\S+)\/graphql/.exec(output)?.[1]
        if (!found) return
        clearTimeout(timer)
        resolve(found)
      })
    })
    const databaseLog = (): Promise<string> => readFile(join(directory, 'postgres', 'postgres.log'), 'utf8')
    async function cpuOf(work: () => Promise<unknown>): Promise<number> {
      const before = await cpuMs(child.pid!)
      await work()
      return (await cpuMs(child.pid!)) - before
    }
    return { cpuOf, url, port: Number(new URL(url).port), jwtSecret, adminPassword, log: () => output, databaseLog, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** User and system time of a process; where there is no /proc, the time that went by. */
async function cpuMs(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
  if (text === undefined) return performance.now()
  // after the name in parentheses: utime and stime are the 12th and 13th, in hundredths of a second
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10
}
