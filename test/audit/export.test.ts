import { expect, test } from 'vitest'
import { createAuditKeys } from '../../src/audit/audit-keys.ts'
import { checkExport, exportAudit } from '../../src/audit/export-audit.ts'
import type { ExportCheck } from '../../src/audit/export-audit.ts'
import { auditEntry, recordAudit } from '../../src/audit/record-audit.ts'
import { createSealedHead } from '../../src/audit/sealed-head.ts'
import { createSealer } from '../../src/audit/sealer.ts'
import { createLog } from '../../src/log.ts'
import { auditKeys } from '../harness/audit-keys.ts'
import { testDatabase } from '../harness/test-database.ts'
import { settled } from './settled.ts'

const { database } = await testDatabase()
const sealer = createSealer({ database, keys: auditKeys, head: createSealedHead(auditKeys), log: createLog('silent') })
const asker = { origin: {}, services: { database, auditKeys } }

/** Seals over 2, 1 and 3 events. */
for (const count of [2, 1, 3]) {
  const entries = Array.from({ length: count }, (_, index) => auditEntry(asker, { type: 'flow.created', metadata: { index } }))
  await database.transaction((em) => recordAudit(em, ...entries))
  await settled(database)
  expect(await sealer.runOnce()).toBe(count)
}
const lines = await gather(exportAudit({ database, keys: auditKeys }))

async function gather(from: AsyncIterable<string>): Promise<string[]> {
  const texts: string[] = []
  for await (const text of from) texts.push(text)
  return texts
}
async function* from(texts: readonly string[]): AsyncGenerator<string> {
  yield* texts
}
const check = (texts: readonly string[]): Promise<ExportCheck> => checkExport(auditKeys, from(texts))
const kinds = (texts: readonly string[]): string => texts.map((text) => Object.keys(JSON.parse(text) as object)[0]).join(' ')

test('an export is a head, events with the seal behind them, and an end (C7)', async () => {
  expect(kinds(lines)).toBe('export event event seal event seal event event event seal end')
  expect(await check(lines)).toEqual({ intact: true, checked: 6, position: 3 })
})

test('an export may begin behind a seal', async () => {
  const rest = await gather(exportAudit({ database, keys: auditKeys, after: 2 }))
  expect(kinds(rest)).toBe('export event event event seal end')
  expect(await check(rest)).toEqual({ intact: true, checked: 3, position: 3 })
  await expect(exportAudit({ database, keys: auditKeys, after: 9 }).next()).rejects.toThrow('there is no seal 9')
})

test('every line that is left out, doubled or moved is found', async () => {
  for (let index = 0; index < lines.length; index++) {
    expect(await check(lines.toSpliced(index, 1)), `without line ${index}`).toMatchObject({ intact: false })
    expect(await check(lines.toSpliced(index, 0, lines[index]!)), `line ${index} twice`).toMatchObject({ intact: false })
    if (index === 0) continue
    expect(
      await check(lines.with(index, lines[index - 1]!).with(index - 1, lines[index]!)),
      `lines ${index - 1} and ${index} swapped`,
    ).toMatchObject({ intact: false })
  }
})

test('a cut at either end is found, also at the border of seals', async () => {
  for (let kept = 0; kept < lines.length; kept++) expect(await check(lines.slice(0, kept))).toMatchObject({ intact: false })
  const head = JSON.parse(lines[0]!) as object
  const first = JSON.parse(lines[3]!) as { seal: { hash: string } }
  const later = JSON.stringify({ ...head, after: 1, hash: first.seal.hash })
  expect(await check([later, ...lines.slice(4)])).toMatchObject({
    intact: false,
    broken: { why: expect.stringContaining('the end does not fit') },
  })
})

test('every changed value is found', async () => {
  for (const [index, text] of lines.entries()) {
    const line = JSON.parse(text) as Record<string, unknown>
    const [kind] = Object.keys(line)
    const inner = kind === 'export' ? line : (line[kind!] as Record<string, unknown>)
    for (const key of Object.keys(inner)) {
      if (key === 'export') continue
      const other = { ...inner, [key]: changed(inner[key]) }
      const spoilt = JSON.stringify(kind === 'export' ? other : { [kind!]: other })
      expect(await check(lines.with(index, spoilt)), `line ${index}: ${key}`).toMatchObject({ intact: false })
    }
  }
})

function changed(value: unknown): unknown {
  if (typeof value === 'number') return value + 1
  if (typeof value === 'boolean') return !value
  if (Array.isArray(value)) return value.slice(1)
  if (typeof value === 'string')
    return /^\d{4}-/.test(value) ? '2020-01-01T00:00:00.000Z' : `${value.slice(0, -1)}${value.endsWith('0') ? '1' : '0'}`
  return { changed: true }
}

test('what is no export is said to be none', async () => {
  for (const texts of [[], ['{}'], ['null'], ['[]'], ['x'], ['{"event":{}}'], ['{"seal":{}}'], lines.slice(1)]) {
    expect(await check(texts)).toMatchObject({ intact: false, checked: 0 })
  }
})

test('without the key an export cannot be checked, and none can be made', async () => {
  const other = createAuditKeys('another key')
  expect(await checkExport(other, from(lines))).toMatchObject({ intact: false, checked: 0 })
  const forged = await gather(exportAudit({ database, keys: other }))
  expect(await check(forged)).toMatchObject({ intact: false })
})

test('a collector that follows gets what is sealed later', async () => {
  const ending = new AbortController()
  const following = exportAudit({ database, keys: auditKeys, after: 3, follow: ending.signal })
  await following.next()
  await database.transaction((em) => recordAudit(em, auditEntry(asker, { type: 'flow.later' })))
  await settled(database)
  await sealer.runOnce()
  expect(JSON.parse(String((await following.next()).value))).toMatchObject({ event: { type: 'flow.later' } })
  expect(JSON.parse(String((await following.next()).value))).toMatchObject({ seal: { position: 4 } })
  ending.abort()
  expect((await following.next()).done).toBe(true)
})
