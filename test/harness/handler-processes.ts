/** How tests set up the processes of handlers: what is compiled for one is kept for all that come after it, as in a data directory. */
import { join } from 'node:path'
import { childEnvironment } from '../../src/engine/handlers/child-environment.ts'

const { NODE_COMPILE_CACHE = '' } = process.env

export const HANDLER_PROCESSES = {
  environment: childEnvironment(process.env),
  memoryLimitMb: 128,
  compileCacheDirectory: NODE_COMPILE_CACHE && join(NODE_COMPILE_CACHE, 'handlers'),
}
