/** A whole server as its own process, as `npm start` runs it, on a data directory of the test's own; and a client for it. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, readlink, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll } from 'vitest'
import { MACHINE } from './machine-environment.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
/** as in `scripts/bootstrap.mjs` */
const FLAGS = ['--max-semi-space-size=8']
const START_MS = 120_000

export interface SluiceProcess {
  readonly process: ChildProcess
  /** what it printed */
  output(): string
  /** Resolves when it printed this; rejects with what it printed when it ends before. */
  said(what: RegExp): Promise<RegExpExecArray>
  /** Its code, when it has ended by itself and all that it printed is here. */
  ended(): Promise<number | null>
  /** Ends it with this signal and waits until it is gone. */
  end(signal: NodeJS.Signals): Promise<number | null>
}

export interface ServerProcess extends SluiceProcess {
  readonly url: string
}

const children: ChildProcess[] = []
const directories: string[] = []
// Here, while the file is read: what a `beforeAll` of the file registers would never run.
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL')
  for (const directory of directories) {
    for (const pid of await processesIn(directory)) endNow(pid)
    await rm(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 })
  }
})

/** It may be gone already, with one that was ended before it. */
function endNow(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** A directory that is removed, with everything that still runs in it, at the end of the file. */
export async function dataDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'sluice-app-'))
  directories.push(directory)
  return directory
}

/** Resolves when it says that it is ready; rejects with what it printed when it ends before. */
export async function startServerProcess(dataDir: string, environment: Record<string, string> = {}): Promise<ServerProcess> {
  const started = spawnSluice('start', dataDir, environment)
  const [, url] = await started.said(/GraphiQL +(\S+)\/graphql/)
  return { ...started, url: url! }
}

/** `sluice <command>` as a process of its own, that may never be ready; `root`: of the checkout that it runs from. */
export function spawnSluice(
  command: string,
  dataDir: string,
  environment: Record<string, string> = {},
  root = ROOT,
): SluiceProcess {
  const child = spawn(process.execPath, [...FLAGS, join(root, 'src', 'main.ts'), ...command.split(' ')], {
    env: {
      ...MACHINE,
      PORT: '0',
      SLUICE_DATA_DIR: dataDir,
      SLUICE_LOG_LEVEL: 'warn',
      SLUICE_LEASE_MS: '1500',
      ...LIMITS,
      ...environment,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  children.push(child)
  const exited = once(child, 'exit')
  const closed = once(child, 'close')
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text: Buffer) => (output += String(text)))
  return {
    process: child,
    output: () => output,
    said: (what) =>
      new Promise((resolve, reject) => {
        const fail = (why: string): void => reject(new Error(`${why}\n${output}`))
        const timer = setTimeout(fail, START_MS, `it did not say ${what} in time`)
        const look = (): void => {
          const found = what.exec(output)
          if (!found) return
          clearTimeout(timer)
          resolve(found)
        }
        child.once('exit', (code) => fail(`it ended with ${code}`))
        for (const stream of [child.stdout, child.stderr]) stream.on('data', look)
        look()
      }),
    ended: async () => (await closed, child.exitCode),
    async end(signal) {
      child.kill(signal)
      await exited
      return child.exitCode
    },
  }
}

const LIMITS = { SLUICE_LIMIT_API_PER_MINUTE: '100000', SLUICE_LIMIT_FLOW_WRITES_PER_MINUTE: '1000' }

/** Signs in as the administrator; then a function that runs documents and throws on top-level errors. */
// what a document asks for is what its test reads
// oxlint-disable-next-line no-explicit-any
export async function signInTo(url: string, dataDir: string): Promise<(query: string, variables?: object) => Promise<any>> {
  const ask = async (token: string | undefined, query: string, variables: object = {}): Promise<unknown> => {
    const headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) }
    const answer = await fetch(`${url}/graphql`, { method: 'POST', headers, body: JSON.stringify({ query, variables }) })
    const { data, errors } = (await answer.json()) as { data: unknown; errors?: unknown }
    if (errors) throw new Error(JSON.stringify(errors))
    return data
  }
  const password = (await readFile(join(dataDir, 'admin-password'), 'utf8')).trim()
  const signedIn = (await ask(
    undefined,
    `mutation ($input: SignInInput!) { signIn(input: $input) { ... on SignInSuccess { accessToken } ... on Problem { message } } }`,
    { input: { email: 'admin@sluice.local', password } },
  )) as { signIn: { accessToken?: string; message?: string } }
  const { accessToken, message } = signedIn.signIn
  if (!accessToken) throw new Error(message)
  return (query, variables) => ask(accessToken, query, variables)
}

/** Processes whose working directory lies in `directory`, that is, the embedded PostgreSQL's. */
export async function processesIn(directory: string): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)
  const places = await Promise.all(pids.map((pid) => readlink(`/proc/${pid}/cwd`).catch(() => '')))
  return pids.filter((_, index) => places[index]!.startsWith(directory))
}

/** The postmaster of this data directory. */
export async function postmasterOf(dataDir: string): Promise<number> {
  return Number((await readFile(join(dataDir, 'postgres', 'data', 'postmaster.pid'), 'utf8')).split('\n')[0])
}
