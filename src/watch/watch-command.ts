/** `sluice watch`: an execution live in a terminal, drawn again as it changes; a line for each event where the output is no terminal. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { createFeed, executionFeed, executionsFeed, SessionOver } from '../../clients/feed/feed.ts'
import type { FeedEnding, GetToken } from '../../clients/feed/feed.ts'
import { signIn } from '../../clients/feed/session.ts'
import { overWebSocket } from '../../clients/feed/websocket.ts'
import type { Config } from '../config/config-types.ts'
import { drawExecution, tellExecution } from './draw/execution.ts'
import { drawFleet, tellFleet } from './draw/fleet.ts'
import type { Terminal } from './screen.ts'
import { show } from './show.ts'
import type { ShowOptions } from './show.ts'

export const WATCH_USAGE = `usage: sluice watch <execution> | --all [--url URL] [--plain]

  <execution>  its id, exec_...
  --all        every execution that you may see, until you press Ctrl-C
  --url URL    of the server; \`SLUICE_URL\` otherwise, else the one that \`PORT\` names on this machine
  --plain      a line for each event, as it is where the output is no terminal

Signs in with \`SLUICE_TOKEN\` (an access token or an API key); without one, as the administrator of this machine's development server.
Ends with 0 when the execution succeeded, with 1 when it ended otherwise or cannot be followed, with 130 after Ctrl-C.
`

const EXIT = { succeeded: 0, otherwise: 1, usage: 64, interrupted: 130 } as const

export interface WatchOptions extends Omit<ShowOptions, 'plain'> {
  readonly config: Config
}

/** The process's exit code. Throws what keeps it from signing in. */
export async function runWatchCommand(args: readonly string[], options: WatchOptions): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { all: { type: 'boolean' }, url: { type: 'string' }, plain: { type: 'boolean' } },
  })
  const [id, ...more] = positionals
  const { config, terminal } = options
  if ((id === undefined) !== (values.all === true) || more.length > 0) {
    terminal.write(WATCH_USAGE)
    return EXIT.usage
  }
  const url = graphqlOf(values.url ?? config.watch.url ?? `http://127.0.0.1:${config.server.port}`)
  const transport = overWebSocket({ url, token: await tokenFor(url, config) })
  const how = { ...options, plain: values.plain === true || terminal.isTTY !== true }
  if (id === undefined) {
    const { ending } = await show(createFeed({ transport, kind: executionsFeed }), FLEET, how)
    return told(ending, terminal) ? EXIT.otherwise : EXIT.succeeded
  }
  const feed = createFeed({ transport, kind: executionFeed, variables: { id } })
  const { view, ending } = await show(feed, EXECUTION, how)
  told(ending, terminal)
  if (options.signal.aborted) return EXIT.interrupted
  return view.execution?.status === 'SUCCEEDED' ? EXIT.succeeded : EXIT.otherwise
}

const FLEET = { draw: drawFleet, tell: tellFleet }
const EXECUTION = { draw: drawExecution, tell: tellExecution }

/** Says why it cannot be followed, if it cannot. */
function told(ending: FeedEnding | undefined, terminal: Terminal): boolean {
  if (!ending || ending.reason === 'FINISHED') return false
  terminal.write(`${ending.errors[0]?.message ?? ending.reason}\n`)
  return true
}

const graphqlOf = (url: string): string => (new URL(url).pathname === '/' ? new URL('/graphql', url).href : url)

const LOOPBACK = ['localhost', '127.0.0.1', '[::1]']

async function tokenFor(url: string, { watch, identity, database }: Config): Promise<GetToken> {
  const { token } = watch
  if (token !== undefined) {
    return (expired) => {
      if (expired) throw new SessionOver('SLUICE_TOKEN has expired.')
      return token
    }
  }
  // the password is for nobody else
  const isHere = LOOPBACK.includes(new URL(url).hostname)
  const stored = isHere ? await readFile(join(database.dataDir, 'admin-password'), 'utf8').catch(() => undefined) : undefined
  const password = isHere ? (identity.adminPassword ?? stored) : undefined
  if (password === undefined) throw new Error(`Set SLUICE_TOKEN to sign in at ${url}.`)
  const session = await signIn({ url }, { email: identity.adminEmail, password: password.trim() }).catch((cause: Error) => {
    throw new Error(`Cannot sign in at ${url}: ${cause.message}`, { cause })
  })
  return session.token
}
