/** One server of bench/live.ts in a process of its own: Sluice as it runs, plain yoga with graphql-ws, or a bare broadcast by ws. */
import { createServer } from 'node:http'
import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import type { DocumentNode, ExecutionArgs, ExecutionResult, GraphQLError } from 'graphql'
import { useServer } from 'graphql-ws/use/ws'
import { createPubSub, createSchema, createYoga } from 'graphql-yoga'
import { WebSocketServer } from 'ws'
import { startApp } from '../src/app/app.ts'
import { loadConfig } from '../src/config/config.ts'
import { createLog } from '../src/log.ts'
import { frameOf } from './live-frames.ts'
import type { LiveSystem, ServerOrder, ServerReply } from './live-frames.ts'

interface Running {
  readonly url: string
  publish(number: number): void
  close(): Promise<void>
}

const OPEN: Record<LiveSystem, () => Promise<Running>> = { sluice: openSluice, yoga: openYoga, raw: openRaw }
const reply = (answer: ServerReply): void => void process.send!(answer)
process.on('disconnect', () => process.exit(1))

const running = await OPEN[process.argv[2] as LiveSystem]()
process.on('message', (order: ServerOrder) => void obey(order))
reply({ ready: running.url })

async function obey(order: ServerOrder): Promise<void> {
  if (order === 'cpu') {
    const { user, system } = process.cpuUsage()
    return reply({ cpuMs: (user + system) / 1_000 })
  }
  if (order === 'memory') {
    // what only lay around is given back too
    globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' })
    const { rss, heapUsed, external } = process.memoryUsage()
    return reply({ memory: { rssBytes: rss, liveBytes: heapUsed + external } })
  }
  if (order !== 'close') return running.publish(order.publish)
  await running.close()
  process.disconnect()
  process.exit(0)
}

/** Events come from outside: another process commits them and rings, as another node would. */
async function openSluice(): Promise<Running> {
  const config = loadConfig(process.env, { mode: 'start' })
  const app = await startApp({
    ...{ config, environment: {}, log: createLog('warn'), serve: true, work: false },
    onFatal: () => process.exit(1),
  })
  return { url: app.url!, publish: () => undefined, close: () => app.stop() }
}

/** As its documentation has it: one subscription for each socket, executed for each event. */
async function openYoga(): Promise<Running> {
  const events = createPubSub<{ frame: [object] }>()
  const yoga = createYoga({ schema: frames(events), logging: false })
  const server = createServer((request, response) => void yoga(request, response))
  const sockets = new WebSocketServer({ server, path: yoga.graphqlEndpoint })
  interface Root {
    readonly run: { execute(args: ExecutionArgs): unknown; subscribe(args: ExecutionArgs): unknown }
  }
  const of = (args: ExecutionArgs): Root['run'] => (args.rootValue as Root).run
  useServer(
    {
      execute: (args) => of(args).execute(args) as ExecutionResult,
      subscribe: (args) => of(args).subscribe(args) as Promise<AsyncIterable<ExecutionResult>>,
      async onSubscribe(context, _id, params) {
        const { request: req, socket } = context.extra
        const { schema, execute, subscribe, contextFactory, parse, validate } = yoga.getEnveloped({
          ...context,
          req,
          socket,
          params,
        })
        const document = parse(params.query) as DocumentNode
        const errors = validate(schema, document) as readonly GraphQLError[]
        if (errors.length > 0) return errors
        const { operationName, variables: variableValues } = params
        return {
          schema,
          document,
          operationName,
          variableValues,
          contextValue: await contextFactory(),
          rootValue: { run: { execute, subscribe } },
        }
      },
    },
    sockets,
  )
  return listen(server, (number) => events.publish('frame', frameOf(number, Date.now()).executionFeed))
}

function frames(events: ReturnType<typeof createPubSub<{ frame: [object] }>>) {
  return createSchema({
    typeDefs: /* GraphQL */ `
      scalar JSON
      type Query {
        none: String
      }
      interface FeedFrame {
        cursor: String!
      }
      type Execution {
        status: String!
        version: Int!
        lastSeq: Int!
      }
      type ExecutionEvent {
        seq: Int!
        type: String!
        at: String!
        step: String
        path: String
        attempt: Int
        data: JSON
      }
      type FeedDelta implements FeedFrame {
        cursor: String!
        events: [ExecutionEvent!]!
        execution: Execution!
      }
      union ExecutionFeedFrame = FeedDelta
      type Subscription {
        executionFeed(id: ID!, after: String): ExecutionFeedFrame!
      }
    `,
    resolvers: {
      Subscription: {
        executionFeed: { subscribe: () => events.subscribe('frame'), resolve: (frame: object) => frame },
      },
    },
  })
}

/** What no server can do without: the same bytes to every socket. */
async function openRaw(): Promise<Running> {
  const server = createServer()
  const sockets = new WebSocketServer({ server, path: '/graphql', perMessageDeflate: false })
  sockets.on('connection', (socket) => {
    socket.on('message', (message: Buffer) => {
      if (message.includes('connection_init')) socket.send('{"type":"connection_ack"}')
    })
  })
  return listen(server, (number) => {
    const text = JSON.stringify({ id: '1', type: 'next', payload: { data: frameOf(number, Date.now()) } })
    for (const socket of sockets.clients) socket.send(text)
  })
}

async function listen(
  server: ReturnType<typeof createServer<typeof IncomingMessage>>,
  publish: (number: number) => void,
): Promise<Running> {
  const streams = new Set<Duplex>()
  server.on('connection', (stream) => streams.add(stream))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    ...{ url, publish },
    async close() {
      for (const stream of streams) stream.destroy()
      server.close()
    },
  }
}
