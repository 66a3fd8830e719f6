/** The program of a handler process: loads modules, runs one attempt at a time, dies with its parent. Started by `handler-process.ts`. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { flushCompileCache } from 'node:module'
import { pathToFileURL } from 'node:url'
import { getHeapStatistics } from 'node:v8'
import { watchProcess } from './child-watch.ts'
import type { FromChild, RunRequest, ToChild } from './child-messages.ts'
import type { Handler } from './define-handler.ts'
import { findHandlers } from './find-handlers.ts'
import { AttemptContext } from './handler-context.ts'
import { checkedOutput, failed, stackOf, thrown } from './handler-outcome.ts'
import type { HandlerOutcome } from './handler-outcome.ts'
import { heapBytesOf } from './resource-limits.ts'

const send = process.send!.bind(process) as (message: FromChild) => void
const exit = process.exit.bind(process)
const [parent, cpuMs, memoryBytes] = process.argv.slice(2).map(Number) as [number, number, number]
const watch = watchProcess(parent, { cpuMs, memoryBytes })
// the channel is ours: a handler that writes to it by habit would only confuse the worker
process.send = undefined
// read by Node already; not for what handlers start
delete process.env.NODE_COMPILE_CACHE

/** The request being answered; undefined between requests. */
let present: { number: number; context?: AttemptContext } | undefined
/** Says which request some code runs for, however late it runs. */
const owner = new AsyncLocalStorage<number>()

process.on('message', (message: ToChild) => {
  if (message.kind === 'abort') {
    if (message.number === present?.number) present.context?.abort(message.reason)
  } else if (message.kind === 'describe') void describe(message.number, message.file)
  else void run(message)
})

async function describe(number: number, file: string): Promise<void> {
  present = { number }
  try {
    const found = findHandlers(await load(file))
    // Node writes it when a process exits; these are killed
    flushCompileCache()
    if (present?.number !== number) return
    present = undefined
    send({ kind: 'described', number, ...found })
  } catch (error) {
    done(number, failed('HANDLER_NOT_REGISTERED', thrown(error).message), true, stackOf(error))
  }
}

async function run(request: RunRequest): Promise<void> {
  const { number } = request
  const context = new AttemptContext(request, {
    line: (line) => send({ kind: 'log', number, line }),
    progress: (progress) => send({ kind: 'progress', number, progress }),
  })
  present = { number, context }
  watch.begin()
  let handler: Handler | undefined
  try {
    handler = (await load(request.file))[request.exportName] as Handler | undefined
  } catch (error) {
    // a module that failed to load stays failed in this process
    return done(
      number,
      failed('HANDLER_NOT_REGISTERED', `Its module cannot be loaded: ${thrown(error).message}`),
      true,
      stackOf(error),
    )
  }
  if (typeof handler?.run !== 'function')
    return done(number, failed('HANDLER_NOT_REGISTERED', 'Its module no longer exports it.'), true)
  if (context.aborted) return done(number, failed('CANCELED', 'It was stopped before it began.'), true)
  try {
    const output: unknown = await owner.run(number, () => handler.run(request.input, context))
    done(number, checkedOutput(output, request.maxOutputBytes), isHeapFilling())
  } catch (error) {
    done(number, thrown(error), isHeapFilling(), stackOf(error))
  }
}

/** What handlers keep in module state must not end a later attempt with an out of memory: a half full process is replaced. */
function isHeapFilling(): boolean {
  // V8's own `heap_size_limit` has room for young objects besides, more than twice of what a small heap is
  return getHeapStatistics().used_heap_size > heapBytesOf(memoryBytes) / 2
}

async function load(file: string): Promise<Record<string, unknown>> {
  return (await import(pathToFileURL(file).href)) as Record<string, unknown>
}

function done(number: number, outcome: HandlerOutcome, spent: boolean, stack?: string): void {
  if (present?.number !== number) return
  const droppedLines = present.context?.end() ?? 0
  present = undefined
  const { use, filling } = watch.end()
  send({ kind: 'done', number, outcome, spent: spent || filling, stack, use, droppedLines })
}

/** True for code that an ended attempt left behind: a timer, a listener, a promise that nobody awaited. */
function isLeftover(): boolean {
  const number = owner.getStore()
  return number === undefined ? present === undefined : number !== present?.number
}

function onEscapedError(error: unknown): void {
  const failure = thrown(error)
  if (isLeftover()) send({ kind: 'stray', failure, stack: stackOf(error) })
  else done(present!.number, failed('HANDLER_CRASHED', `Uncaught error: ${failure.message}`), true, stackOf(error))
}

process.on('uncaughtException', onEscapedError)
process.on('unhandledRejection', onEscapedError)
process.exit = (code) => {
  if (isLeftover()) throw new Error('What an ended attempt left behind called process.exit().')
  return exit(code)
}

// the worker decides when a handler ends; a signal to the whole service (a supervisor's SIGTERM) is the worker's to answer
process.on('SIGTERM', () => {})
process.on('SIGINT', () => {})
// printing must not fail when the worker has stopped reading
process.stdout.on('error', () => {})
process.stderr.on('error', () => {})

process.on('disconnect', () => void process.kill(-process.pid, 'SIGKILL'))
process.title = 'sluice-handler'
