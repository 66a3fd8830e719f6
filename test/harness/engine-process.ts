/**
 * An engine in a process of its own, to be killed: opens the database of DATABASE_URL, begins when told to, does what it is told
 * over IPC, and ends itself by SIGKILL at the point that its order names. Started by `spawn-engine.ts`.
 */
import { createEngine } from '../../src/engine/create-engine.ts'
import type { Engine } from '../../src/engine/engine.ts'
import { openDatabase } from '../../src/database/database.ts'
import { createHandlerHost } from '../../src/engine/handlers/handler-host.ts'
import type { HandlerHost } from '../../src/engine/handlers/handler-host.ts'
import { loadHandlers } from '../../src/engine/handlers/load-handlers.ts'
import { createPostgresBus } from '../../src/fleet/postgres-bus.ts'
import { DEFAULT_ROLES } from '../../src/language/roles.ts'
import { createLog } from '../../src/log.ts'
import { isProblem } from '../../src/errors.ts'
import { HANDLER_PROCESSES } from './handler-processes.ts'
import { signAudit } from './audit-keys.ts'
import { chooseByName } from './choose-by-name.ts'
import { interceptQueries, isClaim, isCommit } from './intercept-queries.ts'
import type { EngineCall, FromEngine, ProcessOrder, ToEngine } from './spawn-engine.ts'

const order = JSON.parse(process.argv[2]!) as ProcessOrder
const send = process.send!.bind(process) as (message: FromEngine) => void
const left = new Map(order.dieAt ? [[order.dieAt.point, order.dieAt.nth]] : [])

/** Here the process dies, if it is the moment that was ordered. */
function passing(point: NonNullable<ProcessOrder['dieAt']>['point']): void {
  const turns = left.get(point)
  if (turns === undefined) return
  left.set(point, turns - 1)
  if (turns === 1) process.kill(process.pid, 'SIGKILL')
}

let claims = 0
const log = createLog(process.env['SLUICE_TEST_LOG'] ?? 'fatal')
const connection = process.env['DATABASE_URL']!
const plain = await openDatabase({ connection, entities: [], poolSize: 5, log })
const database = interceptQueries(plain, async (text, run) => {
  if (isClaim(text)) {
    const rows = await run()
    if (rows.length === 0) return rows
    claims += 1
    passing('after claim')
    return rows
  }
  if (!isCommit(text)) return run()
  passing('before commit')
  if (claims > 0) passing('claimed, before commit')
  const answer = run()
  // the statement is in the socket, or on its way to it
  await new Promise(setImmediate)
  passing('during commit')
  const rows = await answer
  passing('after commit')
  if (claims > 0) passing('claimed, after commit')
  return rows
})

const settings = { ...HANDLER_PROCESSES, log }
const registry = await loadHandlers({ ...settings, directories: [`${import.meta.dirname}/../engine/fixtures/handlers`] })
const host = createHandlerHost({ ...settings, registry, graceMs: 200, maxProcesses: 3 })
const engine = createEngine({
  ...{
    database,
    registry,
    log,
    signAudit,
    leaseMs: order.leaseMs,
    maxHeld: 500,
    pools: order.pools ?? ['default'],
    fenceMs: 1000,
    drainMs: 300,
    enabled: true,
  },
  host: dyingHost(host),
  bus: createPostgresBus({ database: plain, connection, log }),
  allow: { roles: new Set(DEFAULT_ROLES), handlers: new Set(registry.keys()) },
  chooseChild: chooseByName(database),
})

process.on('message', (message: ToEngine) => void answer(message))
// when the test is gone, so is this
process.on('disconnect', () => process.exit())
send({ kind: 'ready', workerId: engine.workerId })

/** Everything as the host does it; but the process may die once a handler began. */
function dyingHost(inner: HandlerHost): HandlerHost {
  return {
    run(call) {
      const running = inner.run(call)
      passing('after act')
      return running
    },
    get free() {
      return inner.free
    },
    set onFree(listener: () => void) {
      inner.onFree = listener
    },
    close: () => inner.close(),
  }
}

async function answer(message: ToEngine): Promise<void> {
  try {
    send({ kind: 'done', number: message.number, result: await perform(message.call) })
  } catch (error) {
    send({ kind: 'failed', number: message.number, message: String(error) })
  }
}

async function perform(call: EngineCall): Promise<unknown> {
  switch (call.do) {
    case 'run':
      return engine.run()
    case 'stop':
      return engine.stop()
    case 'start': {
      const { flow, input, initiatorId, idempotency } = call
      const program = await engine.program(flow.flowVersionId)
      if (isProblem(program)) return program
      const inputHash = Buffer.from(idempotency?.inputHash ?? '', 'hex')
      return engine.start({
        ...{ ...flow, program, input, inputText: JSON.stringify(input), initiatorId, runningLimit: 1_000_000 },
        ...(idempotency && { idempotency: { ...idempotency, inputHash } }),
      })
    }
    case 'answer':
      return engine.answer(call.order)
    case 'signal': {
      const { order, key } = call
      return engine.signal({ ...order, idempotency: { principalId: order.executionId, key, inputHash: Buffer.from(key) } })
    }
    default: {
      const control: Engine['cancel'] = (given) => engine[call.do](given)
      return control(call.order)
    }
  }
}
