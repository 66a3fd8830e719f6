/** A worker to be killed by tests: hosts handlers, gives its processes' pids away, and waits. Started by `orphans.test.ts`. */
import { createHandlerHost } from '../../../src/engine/handlers/handler-host.ts'
import { loadHandlers } from '../../../src/engine/handlers/load-handlers.ts'
import { createLog } from '../../../src/log.ts'
import { HANDLER_PROCESSES } from '../../harness/handler-processes.ts'

const settings = { ...HANDLER_PROCESSES, log: createLog('silent') }
const registry = await loadHandlers({ ...settings, directories: [`${import.meta.dirname}/fixtures`] })
const host = createHandlerHost({ ...settings, registry })
const call = { executionId: 'exec_1', path: 'a', attempt: 1, deadlineMs: 60_000 }

for (const pidFile of process.argv.slice(2)) host.run({ ...call, handler: 'spin', input: { pidFile } })
const idle = await host.run({ ...call, handler: 'pid', input: null }).outcome
process.send!(idle)
