/** The project's own attacks, quick: nothing gets through. Some attacks have to have been tried, or nobody could know. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const RUN = fileURLToPath(new URL('../../attack/run.ts', import.meta.url))

test('nothing gets through (B1, B3, B4, B6, B7, B11, B15, C3, C6, C9)', { timeout: 900_000 }, async () => {
  const child = spawn(process.execPath, [RUN, '--quick'], { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text: Buffer) => (said += String(text)))
  const [code] = (await once(child, 'close')) as [number | null]
  const [, tried = '0'] = /^(\d+) attacks of \d+ topics, nothing got through$/m.exec(said) ?? []
  expect(code, said).toBe(0)
  expect(Number(tried)).toBeGreaterThan(500)
})
