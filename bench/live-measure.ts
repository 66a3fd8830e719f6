/** One round of bench/live.ts: a server and its clients in processes of their own, so many events, and what they took. */
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { ClientReply, LiveSystem, ServerOrder, ServerReply } from './live-frames.ts'
import { openPublisher } from './live-publisher.ts'
import type { Publisher } from './live-publisher.ts'
import { quantile } from './report.ts'
import type { BenchServer } from './server.ts'

/** opened before memory is counted: what the first connection loads is not each connection's */
const WARM_UP = 50
/** events under way at the same time, for one execution and for many */
const AHEAD = { one: 8, many: 64 } as const

export interface Figures {
  perSecond: number
  p50Ms: number
  p99Ms: number
  cpuUs: number
  /** what the process grows by for each connection */
  kbEach: number
  /** of these, objects of JavaScript */
  liveKbEach: number
}

export interface RoundOptions {
  readonly system: LiveSystem
  readonly sockets: number
  /** the sockets are shared out among them; 1 but for Sluice */
  readonly executions: number
  readonly seconds: number
  readonly server: BenchServer
  /** of the database */
  readonly url: string
  readonly environment: Record<string, string>
}

export async function measure({
  system,
  sockets,
  executions,
  seconds,
  server,
  url,
  environment,
}: RoundOptions): Promise<Figures> {
  const child = start('live-server.ts', [system], system === 'sluice' ? environment : {})
  const { ready } = await heard<ServerReply>(child, (answer) => answer.ready !== undefined)
  const clients = start('live-clients.ts', [], {})
  let publisher: Publisher | undefined
  try {
    if (system === 'sluice') publisher = await openPublisher(server, url, ready!, executions)
    const open = async (count: number): Promise<NonNullable<ServerReply['memory']>> => {
      clients.send({ sockets: count, url: ready!, token: publisher?.token ?? '', ids: publisher?.ids ?? ['none'] })
      await heard<ClientReply>(clients, (answer) => answer.opened === true)
      // the snapshots are on their way
      await new Promise((resolve) => setTimeout(resolve, 1_000))
      return (await told(child, 'memory', ({ memory }) => memory !== undefined)).memory!
    }
    const before = await open(WARM_UP)
    const opened = await open(sockets - WARM_UP)

    const latencies: number[] = []
    let sent = 0
    const one = async (): Promise<void> => {
      const number = sent++
      const all = heard<ClientReply>(clients, (answer) => answer.received?.number === number)
      if (publisher) await publisher.publish(number)
      else child.send({ publish: number })
      latencies.push(...(await all).received!.latenciesMs)
    }
    for (let at = 0; at < 3; at++) await one()
    latencies.length = 0
    const cpuMs = async (): Promise<number> => (await told(child, 'cpu', (answer) => answer.cpuMs !== undefined)).cpuMs!
    const cpu = await cpuMs()
    const began = performance.now()
    const until = began + seconds * 1_000
    await Promise.all(
      Array.from({ length: executions === 1 ? AHEAD.one : AHEAD.many }, async () => {
        while (performance.now() < until) await one()
      }),
    )
    const elapsed = performance.now() - began
    const used = (await cpuMs()) - cpu
    return {
      perSecond: (latencies.length / elapsed) * 1_000,
      ...{ p50Ms: quantile(latencies, 0.5), p99Ms: quantile(latencies, 0.99) },
      cpuUs: (used * 1_000) / latencies.length,
      kbEach: (opened.rssBytes - before.rssBytes) / 1_024 / (sockets - WARM_UP),
      liveKbEach: (opened.liveBytes - before.liveBytes) / 1_024 / (sockets - WARM_UP),
    }
  } finally {
    clients.kill()
    await publisher?.close()
    if (child.connected) {
      const gone = once(child, 'exit')
      child.send('close')
      await gone
    }
  }
}

function start(file: string, args: string[], env: Record<string, string>): ChildProcess {
  const child = fork(fileURLToPath(new URL(file, import.meta.url)), args, {
    env: { ...process.env, ...env },
    execArgv: ['--expose-gc'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  return child.setMaxListeners(2 * AHEAD.many)
}

function told(child: ChildProcess, order: ServerOrder, isIt: (reply: ServerReply) => boolean): Promise<ServerReply> {
  const answered = heard(child, isIt)
  child.send(order)
  return answered
}

/** Rejects when the process fails or ends instead. */
function heard<Reply extends { failed?: string }>(child: ChildProcess, isIt: (reply: Reply) => boolean): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const done = (settle: () => void): void => {
      child.off('message', listen).off('exit', gone)
      settle()
    }
    const listen = (reply: Reply): void => {
      if (reply.failed !== undefined) done(() => reject(new Error(reply.failed)))
      else if (isIt(reply)) done(() => resolve(reply))
    }
    const gone = (code: number | null): void => done(() => reject(new Error(`a process ended: ${code}`)))
    child.on('message', listen).on('exit', gone)
  })
}
