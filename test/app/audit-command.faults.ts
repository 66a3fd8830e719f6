import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { createAuditKeys } from '../../src/audit/audit-keys.ts'
import { auditEntry, recordAudit } from '../../src/audit/record-audit.ts'
import { createSealedHead } from '../../src/audit/sealed-head.ts'
import { createSealer } from '../../src/audit/sealer.ts'
import { shortenAudit } from '../../src/audit/shorten-audit.ts'
import type { Database } from '../../src/database/database.ts'
import { createLog } from '../../src/log.ts'
import { settled } from '../audit/settled.ts'
import { superuserOf } from '../harness/age.ts'
import { MACHINE } from '../harness/machine-environment.ts'
import { dataDirectory, startServerProcess } from '../harness/server-process.ts'
import { testDatabase } from '../harness/test-database.ts'

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

test(
  'the log of a server that runs is verified, exported, and the export checked without it (C7)',
  { timeout: 180_000 },
  async () => {
    const directory = await dataDirectory()
    const server = await startServerProcess(directory)
    const sluice = (...args: string[]) => {
      const env = { ...MACHINE, SLUICE_DATA_DIR: directory }
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

test(
  'the command tells where a log begins whose oldest part was removed, looks at all that is not sealed, and finds a lost beginning (B10, C7)',
  { timeout: 180_000 },
  async () => {
    const { database, ownerQuery, env, name } = await testDatabase()
    const directory = await dataDirectory()
    const key = 'Yx8Zr2kQ5n1Tq7Wv0Lp3Hs9Dc4Mb6Jf2Gt8Ke1Ru'
    const keys = createAuditKeys(key)
    const head = createSealedHead(keys, join(directory, 'audit-head'))
    const log = createLog('silent')
    const write = async (count: number, daysAgo: number): Promise<Database> => {
      const past = { ...database, clock: { ...database.clock, now: () => Date.now() - daysAgo * 86_400_000 } }
      for (let left = count; left > 0; left -= 1_000) {
        const entries = Array.from({ length: Math.min(left, 1_000) }, () =>
          auditEntry({ origin: {}, services: { database: past, auditKeys: keys } }, { type: 'flow.created' }),
        )
        await database.transaction((em) => recordAudit(em, ...entries))
      }
      return past
    }
    for (const days of [400, 390, 1]) {
      const past = await write(2, days)
      await settled(database)
      await createSealer({ database: past, keys, head, log }).runOnce()
    }
    // nobody seals it
    await write(1, 0.01)
    expect(await shortenAudit({ database, keys, head, log })).toBe(4)
    await write(21_000, 0)

    const sluice = (...args: string[]) => {
      const environment = { ...MACHINE, ...env, SLUICE_AUDIT_KEY: key, SLUICE_DATA_DIR: directory }
      const { status, stdout } = spawnSync(process.execPath, [MAIN, 'audit', ...args], { env: environment, encoding: 'utf8' })
      return { status, stdout }
    }
    const begins =
      /^It begins behind seal 2: 4 events that were sealed until \S+ have been removed by their age, at last on \S+\.\n/
    const whole = sluice('verify')
    expect(whole.stdout).toMatch(begins)
    // two that are sealed, what nobody sealed, what retention says of itself, and what came then
    expect(whole).toMatchObject({
      status: 2,
      stdout: expect.stringContaining('intact: 21004 events, 3 seals. The newest are not sealed yet'),
    })
    expect(whole.stdout).toContain('NOT BEING SEALED')
    const exported = sluice('export')
    const file = join(directory, 'export.jsonl')
    writeFileSync(file, exported.stdout)
    expect(sluice('verify', '--export', file).stdout).toMatch(begins)

    const superuser = await superuserOf(name)
    const [last] = await ownerQuery<{ id: string }>('select id from sluice.audit_events order by xid desc, id desc limit 1')
    await superuser.query('update sluice.audit_events set success = false where id = $1', [last!.id])
    expect(sluice('verify'), 'the very last').toMatchObject({ status: 1, stdout: expect.stringContaining('was changed') })
    await superuser.query('update sluice.audit_events set success = true where id = $1', [last!.id])
    await superuser.query('update sluice.audit_seals set sealed_at = now() where position = 3')
    expect(sluice('verify').stdout).toContain('BROKEN behind seal 2')
    expect(sluice('verify', '--after', '3'), 'what lies behind a break, the export too').toMatchObject({
      status: 2,
      stdout: expect.stringMatching(/Nothing up to seal 3 was looked at\.\n.*intact: 21003 events/),
    })
    await superuser.query('delete from sluice.audit_checkpoints')
    expect(sluice('verify')).toMatchObject({ status: 1, stdout: expect.stringContaining('BROKEN') })
  },
)
