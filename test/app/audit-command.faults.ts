import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { dataDirectory, startServerProcess } from '../harness/server-process.ts'

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

test(
  'the log of a server that runs is verified, exported, and the export checked without it (C7)',
  { timeout: 60_000 },
  async () => {
    const directory = await dataDirectory()
    const server = await startServerProcess(directory)
    const sluice = (...args: string[]) => {
      const { PATH = '', HOME = '' } = process.env
      const env = { PATH, HOME, SLUICE_DATA_DIR: directory }
      const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, 'audit', ...args], { env, encoding: 'utf8' })
      return { status, stdout, stderr }
    }
    expect(sluice('verify')).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^The audit log is intact: \d+ events, \d+ seals\./),
    })
    await server.end('SIGTERM')

    // stopped, everything is sealed; the command starts PostgreSQL by itself
    const eventsOf = ({ stdout }: { stdout: string }) => Number(/(\d+) events/.exec(stdout)?.[1])
    const before = eventsOf(sluice('verify'))
    const exported = sluice('export')
    expect(eventsOf(sluice('verify')), 'the export itself is told').toBe(before + 1)
    expect(exported).toMatchObject({ status: 0 })
    const file = join(directory, 'export.jsonl')
    writeFileSync(file, exported.stdout)
    expect(sluice('verify', '--export', file)).toMatchObject({ status: 0, stdout: expect.stringContaining('intact') })
    writeFileSync(file, readFileSync(file, 'utf8').replace('"user.created"', '"user.deleted"'))
    expect(sluice('verify', '--export', file)).toMatchObject({
      status: 1,
      stdout: expect.stringMatching(/BROKEN .*audit_\w{26}: was changed/),
    })
    expect(sluice('verify', '--export', join(directory, 'none'))).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('ENOENT'),
    })
    expect(sluice('burn')).toMatchObject({ status: 64, stderr: expect.stringContaining('usage: sluice audit') })
  },
)
