/** Starts engines in processes of their own (`engine-process.ts`), talks to them, and sees them die. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { onTestFinished } from 'vitest'
import type { AnswerOrder, ControlOrder, SignalOrder } from '../../src/engine/engine.ts'
import type { JsonObject } from '../../src/language/values.ts'

/** Where an engine's process may be told to die, always by SIGKILL. */
export type KillPoint =
  | 'after claim'
  | 'before commit'
  | 'during commit'
  | 'after commit'
  | 'after act'
  | 'claimed, before commit'
  | 'claimed, after commit'

export interface ProcessOrder {
  leaseMs: number
  /** `default` */
  pools?: string[]
  /** `nth`: from 1, how often it passes there */
  dieAt?: { point: KillPoint; nth: number }
}

export type EngineCall =
  | { do: 'run' | 'stop' }
  | {
      do: 'start'
      flow: { flowId: string; flowVersionId: string }
      input: JsonObject
      initiatorId: string
      idempotency?: { principalId: string; key: string; inputHash: string }
    }
  | { do: 'answer'; order: Omit<AnswerOrder, 'idempotency' | 'audit'> }
  | { do: 'signal'; order: Omit<SignalOrder, 'idempotency' | 'audit'>; key: string }
  | { do: 'cancel' | 'pause' | 'resume'; order: ControlOrder }

export type ToEngine = { number: number; call: EngineCall }
export type FromEngine =
  | { kind: 'ready'; workerId: string }
  | { kind: 'done'; number: number; result: unknown }
  | { kind: 'failed'; number: number; message: string }

export interface EngineProcess {
  readonly workerId: string
  readonly alive: boolean
  /** Rejects when the process is gone before it answered, or when the call threw there. */
  call(call: EngineCall): Promise<unknown>
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>
  /** Resolves when it is gone, however. */
  readonly gone: Promise<void>
}

const PROGRAM = `${import.meta.dirname}/engine-process.ts`

/** Ready, but not begun: `call({ do: 'run' })`. Called within a test, it is killed at the test's end at the latest. */
export async function spawnEngine(env: Record<string, string>, order: ProcessOrder): Promise<EngineProcess> {
  const child = fork(PROGRAM, [JSON.stringify(order)], {
    env: { ...process.env, ...env },
    execArgv: ['--disable-warning=ExperimentalWarning'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const waiting = new Map<number, { resolve(result: unknown): void; reject(error: Error): void }>()
  let numbers = 0
  let alive = true
  const gone = once(child, 'exit').then(() => {
    alive = false
    for (const { reject } of waiting.values()) reject(new Error('the process is gone'))
  })
  const ready = new Promise<string>((resolve, reject) => {
    child.on('message', (message: FromEngine) => {
      if (message.kind === 'ready') return resolve(message.workerId)
      const { resolve: done, reject: fail } = waiting.get(message.number)!
      waiting.delete(message.number)
      if (message.kind === 'done') done(message.result)
      else fail(new Error(message.message))
    })
    void gone.then(() => reject(new Error('the engine process ended before it was ready')))
  })
  let workerId = ''
  const engine: EngineProcess = {
    get workerId() {
      return workerId
    },
    get alive() {
      return alive
    },
    call(call) {
      return new Promise((resolve, reject) => {
        if (!alive) return reject(new Error('the process is gone'))
        waiting.set(++numbers, { resolve, reject })
        // a failed write is followed by the exit, which rejects
        child.send({ number: numbers, call } satisfies ToEngine, () => {})
      })
    },
    async kill() {
      child.kill('SIGKILL')
      await gone
    },
    gone,
  }
  onTestFinished(() => engine.kill())
  workerId = await ready
  return engine
}
