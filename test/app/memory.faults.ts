/** What a server takes of the machine's memory, as `npm start` runs it: at rest, and at its highest. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { dataDirectory, signInTo, startServerProcess } from '../harness/server-process.ts'
import type { ServerProcess } from '../harness/server-process.ts'

const AT_REST_MB = 200
/** Twice that would not fit into many a container. */
const HIGHEST_MB = 250
const VALIDATE = 'mutation ($definition: JSON!) { validateFlow(input: { definition: $definition }) { issues { code } } }'

async function memoryOf({ process: { pid } }: ServerProcess): Promise<{ atRest: number; highest: number }> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  const megabytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)![1]) / 1024
  return { atRest: megabytes('VmRSS'), highest: megabytes('VmHWM') }
}

test('an idle server takes less than 200 MB, and judging SQL not much more', { timeout: 120_000 }, async () => {
  const dataDir = await dataDirectory()
  const environment = { NODE_COMPILE_CACHE: join(dataDir, 'node-compile') }
  const first = await startServerProcess(dataDir, environment)
  const { highest } = await memoryOf(first)
  expect(highest).toBeLessThan(HIGHEST_MB)
  await first.end('SIGTERM')

  const server = await startServerProcess(dataDir, environment)
  const idle = await memoryOf(server)
  expect(idle.atRest).toBeLessThan(AT_REST_MB)

  const run = await signInTo(server.url, dataDir)
  for (let at = 0; at < 300; at++) {
    const sql = `with d as (delete from t returning *) select a, count(*) as "${at}" from d where b = $1 group by a limit $2`
    const definition = { version: 1, name: 'sql', steps: { q: { type: 'query', source: 'shop', sql, params: [1, 2] } } }
    const { validateFlow } = await run(VALIDATE, { definition })
    expect(validateFlow.issues).toContainEqual({ code: 'FORBIDDEN_SQL' })
  }
  expect((await memoryOf(server)).highest).toBeLessThan(HIGHEST_MB)
  expect(await server.end('SIGTERM')).toBe(0)
})
