/** What the tests of handlers share: a host over the fixtures, calls, and looking at processes. */
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { HandlerCall } from '../../../src/engine/handlers/attempt.ts'
import { createHandlerHost } from '../../../src/engine/handlers/handler-host.ts'
import type { HandlerHost, HandlerHostSettings } from '../../../src/engine/handlers/handler-host.ts'
import { loadHandlers } from '../../../src/engine/handlers/load-handlers.ts'
import type { HandlerRegistry } from '../../../src/engine/handlers/load-handlers.ts'
import { createLog } from '../../../src/log.ts'
import { HANDLER_PROCESSES } from '../../harness/handler-processes.ts'

export const FIXTURES = `${import.meta.dirname}/fixtures`

/** Log lines as objects, newest last. */
export function recordingLog() {
  const lines: Record<string, unknown>[] = []
  const log = createLog('debug', { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>) })
  return { lines, log }
}

let registry: Promise<HandlerRegistry> | undefined

/** Closed when the test has finished, and its processes are gone then. */
export async function startHost(settings: Partial<HandlerHostSettings> = {}): Promise<HandlerHost> {
  const log = createLog('silent')
  registry ??= loadHandlers({ ...HANDLER_PROCESSES, log, directories: [FIXTURES] })
  const host = createHandlerHost({ ...HANDLER_PROCESSES, log, registry: await registry, graceMs: 200, ...settings })
  onTestFinished(() => host.close())
  return host
}

export function callOf(handler: string, input: HandlerCall['input'] = null, more: Partial<HandlerCall> = {}): HandlerCall {
  return { handler, input, executionId: 'exec_1', path: 'step', attempt: 1, deadlineMs: 20_000, ...more }
}

/** The output of a call that must succeed. */
export async function outputOf(host: HandlerHost, handler: string, input?: HandlerCall['input'], more?: Partial<HandlerCall>) {
  const outcome = await host.run(callOf(handler, input, more)).outcome
  if (!outcome.ok) throw new Error(`${handler}: ${outcome.code}: ${outcome.message}`)
  return JSON.parse(outcome.text) as unknown
}

export async function temporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'sluice-handlers-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  return directory
}

/** The pid that a fixture wrote; throws while there is none. */
export function pidIn(file: string): number {
  const pid = Number(readFileSync(file, 'utf8'))
  if (!(pid > 0)) throw new Error(`no pid in ${file} yet`)
  return pid
}

/** False for zombies too: where nobody reaps orphans, they stay in the table. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch {
    return false
  }
  const stat = `/proc/${pid}/stat`
  if (!existsSync('/proc/self/stat')) return true
  try {
    return !/\) [ZX] /.test(readFileSync(stat, 'utf8'))
  } catch {
    return false
  }
}
