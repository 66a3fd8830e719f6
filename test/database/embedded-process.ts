/** A process that supervises an embedded PostgreSQL: `embedded-process.ts <data directory>`. Says where it is, stops on SIGTERM. */
import { startEmbedded } from '../../src/database/embedded.ts'
import { createLog } from '../../src/log.ts'

const log = createLog('silent')
try {
  const server = await startEmbedded({ dataDir: process.argv[2]!, log })
  process.send!({ pid: server.pid, appUrl: server.appUrl, superuserUrl: server.superuserUrl })
  process.once('SIGTERM', () => void server.stop().then(() => process.exit(0)))
} catch (error) {
  process.send!({ refused: (error as Error).message }, () => process.exit(1))
}
