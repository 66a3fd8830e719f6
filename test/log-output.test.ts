/** A log whose reader does not read, on a pipe of the system. */
import { execFileSync } from 'node:child_process'
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { openLogOutput } from '../src/log-output.ts'

function openPipe() {
  const directory = mkdtempSync(join(tmpdir(), 'sluice-log-'))
  const path = join(directory, 'pipe')
  execFileSync('mkfifo', [path])
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK)
  onTestFinished(() => {
    closeSync(fd)
    rmSync(directory, { recursive: true })
  })
  const bytes = Buffer.alloc(1_000_000)
  const read = (): string => bytes.toString('utf8', 0, readSync(fd, bytes))
  return { fd, read }
}
const line = (n: number): string => `${JSON.stringify({ n, text: 'x'.repeat(9_000) })}\n`
const parsed = (text: string) =>
  text
    .trim()
    .split('\n')
    .map((each) => JSON.parse(each) as { n?: number; lost?: number })

test.skipIf(process.platform !== 'linux')('a log that nobody reads loses lines, says how many, and keeps nobody waiting', () => {
  const { fd, read } = openPipe()
  const output = openLogOutput(fd)
  const began = performance.now()
  for (let n = 0; n < 500; n++) output.write(line(n))
  // the reader was waited for once
  expect(performance.now() - began).toBeLessThan(4_000)

  let text = read()
  for (let n = 500; n < 503; n++) output.write(line(n))
  text += read()
  const lines = parsed(text)
  const written = lines.flatMap(({ n }) => n ?? [])
  expect(written.slice(-3)).toEqual([500, 501, 502])
  expect(written.slice(0, -3)).toEqual(written.slice(0, -3).map((_, index) => index))
  expect(lines.flatMap(({ lost }) => lost ?? [])).toEqual([503 - written.length])
})

test.skipIf(process.platform !== 'linux')('a log on a full disk, and one that is closed, ends nobody', () => {
  const full = openSync('/dev/full', 'w')
  const output = openLogOutput(full)
  output.write(line(1))
  closeSync(full)
  openLogOutput(1_000_000).write(line(2))
})
