/** Finds the operator's handlers in directories and names them, without running code of theirs in the worker unless it is declared inline. */
import { readdir, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { FoundHandler } from './child-messages.ts'
import type { Handler } from './define-handler.ts'
import { thrown } from './handler-outcome.ts'
import { HandlerProcess } from './handler-process.ts'
import type { ProcessSettings } from './handler-process.ts'

export interface RegisteredHandler extends FoundHandler {
  /** absolute */
  file: string
  /** its function, for inline handlers only */
  handler?: Handler
}

/** By name. Its keys are the allow-list of handlers (A1). */
export type HandlerRegistry = ReadonlyMap<string, RegisteredHandler>

/** `problems`: everything that is wrong with the handlers' directories, each with its file. */
export class HandlersUnusable extends Error {
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(`The handlers cannot be used:\n${problems.map((problem) => `- ${problem}`).join('\n')}`)
    this.name = 'HandlersUnusable'
    this.problems = problems
  }
}

export interface LoadSettings extends ProcessSettings {
  /** Scanned for `*.ts`, `*.js`, `*.mjs`, without subdirectories, tests, declarations and dotfiles. Relative to the working directory. */
  directories: readonly string[]
  /** how long one module may take to load, default 10,000 */
  loadMs?: number
}

/**
 * Every module is loaded in a child process, which says what it exports; then those with inline handlers are imported here too.
 * Throws one `HandlersUnusable` with all problems: missing directories, modules that fail, hang or end the process, bad or double names.
 */
export async function loadHandlers(settings: LoadSettings): Promise<HandlerRegistry> {
  const problems: string[] = []
  const files = (await Promise.all(settings.directories.map((directory) => handlerFiles(resolve(directory), problems)))).flat()
  const registry = new Map<string, RegisteredHandler>()
  for (const [file, found] of await describeFiles([...new Set(files)], settings, problems)) {
    for (const handler of found) {
      const other = registry.get(handler.name)
      if (other) problems.push(`${file}: handler "${handler.name}" is in ${other.file} already`)
      else registry.set(handler.name, { ...handler, file })
    }
  }
  // code that is known to be unusable is not run here
  if (problems.length === 0)
    for (const registered of registry.values()) if (registered.inline) await importInline(registered, problems)
  if (problems.length > 0) throw new HandlersUnusable(problems)
  return registry
}

const MODULE = /^[^.].*\.(ts|js|mjs)$/
const NO_MODULE = /\.(test|d)\.(ts|js|mjs)$/

async function handlerFiles(directory: string, problems: string[]): Promise<string[]> {
  try {
    const names = (await readdir(directory)).filter((name) => MODULE.test(name) && !NO_MODULE.test(name)).sort()
    const files: string[] = []
    // stat follows links: mounted configuration consists of them
    for (const name of names) if ((await stat(join(directory, name))).isFile()) files.push(join(directory, name))
    return files
  } catch (error) {
    problems.push(`${directory}: cannot be read (${(error as NodeJS.ErrnoException).code})`)
    return []
  }
}

/** One process for all modules, and a new one after a module that ended it or hung. */
async function describeFiles(
  files: readonly string[],
  settings: LoadSettings,
  problems: string[],
): Promise<Map<string, FoundHandler[]>> {
  const described = new Map<string, FoundHandler[]>()
  let process: HandlerProcess | undefined
  for (const [number, file] of files.entries()) {
    if (process?.spent !== false) process = new HandlerProcess(settings)
    const answer = await describe(process, number, file, settings.loadMs ?? 10_000)
    described.set(file, answer.handlers)
    problems.push(...answer.problems.map((problem) => `${file}: ${problem}`))
  }
  process?.kill()
  await process?.ended
  return described
}

interface Description {
  handlers: FoundHandler[]
  problems: string[]
}

function describe(process: HandlerProcess, number: number, file: string, loadMs: number): Promise<Description> {
  return new Promise((resolve) => {
    const settle = (description: Description): void => {
      clearTimeout(timer)
      resolve(description)
    }
    const unusable = (problem: string): void => {
      process.kill()
      settle({ handlers: [], problems: [problem] })
    }
    const timer = setTimeout(() => unusable(`did not load within ${loadMs} ms`), loadMs)
    process.listener = {
      lost: (how) => unusable(`ended its process while it was loaded: ${how}`),
      hear: (message) => {
        if (message.kind === 'stray') process.spent = true
        else if (message.number !== number) return
        else if (message.kind === 'described') settle(message)
        else if (message.kind === 'done' && !message.outcome.ok) unusable(`cannot be loaded: ${message.outcome.message}`)
      },
    }
    process.send({ kind: 'describe', number, file })
  })
}

async function importInline(registered: RegisteredHandler, problems: string[]): Promise<void> {
  try {
    const module = (await import(pathToFileURL(registered.file).href)) as Record<string, unknown>
    registered.handler = module[registered.exportName] as Handler
  } catch (error) {
    problems.push(`${registered.file}: cannot be loaded inline: ${thrown(error).message}`)
  }
}
