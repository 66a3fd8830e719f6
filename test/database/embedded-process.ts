/** A process that supervises an embedded PostgreSQL: `embedded-process.ts <data directory>`. Says where it is, stops on SIGTERM. */
import { once } from 'node:events'
import { startEmbedded } from '../../src/database/embedded.ts'
import { createLog } from '../../src/log.ts'

const stopAsked = once(process, 'SIGTERM')
try {
  const server = await startEmbedded({ dataDir: process.argv[2]!, log: createLog('silent') })
  process.send!({ pid: server.pid, appUrl: server.appUrl, superuserUrl: server.superuserUrl })
  await stopAsked
  await server.stop()
} catch (error) {
  process.send!({ refused: (error as Error).message })
}
process.disconnect()
