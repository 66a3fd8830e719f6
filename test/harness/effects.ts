/** The file in which handlers (`test/engine/fixtures/handlers`) leave a line each time they run. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'

export interface Effects {
  readonly file: string
  /** one string for each run: its idempotency key, without the rest of the line */
  keys(): string[]
  lines(): string[]
}

/** To be called at the top of a test file; gone at its end. */
export function effectsFile(): Effects {
  const directory = mkdtempSync(join(tmpdir(), 'sluice-effects-'))
  const file = join(directory, 'effects')
  writeFileSync(file, '')
  afterAll(() => rmSync(directory, { recursive: true, force: true }))
  const lines = (): string[] => readFileSync(file, 'utf8').split('\n').slice(0, -1)
  return { file, lines, keys: () => lines().map((line) => line.split(' ')[0]!) }
}
