/** `sluice audit`: verifies and exports the audit log, also while a server runs; an export is checked without any database. */
import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { auditKeysOf } from '../app/audit.ts'
import { checkExport, exportAudit } from '../audit/export-audit.ts'
import { auditEntry, recordAudit } from '../audit/record-audit.ts'
import { createSealedHead } from '../audit/sealed-head.ts'
import { verifyAudit } from '../audit/verify-audit.ts'
import type { VerifiedPlace } from '../audit/verify-audit.ts'
import type { Checkpoint } from '../audit/checkpoint.ts'
import type { Config } from '../config/config-types.ts'
import { openDatabase } from '../database/database.ts'
import type { Database } from '../database/database.ts'
import { visitEmbedded } from '../database/embedded.ts'
import { encodeId } from '../ids.ts'
import type { Logger } from '../log.ts'

export const AUDIT_USAGE = `usage: sluice audit <command>

  verify                   walks the whole log; says where it breaks, and ends with 1 then;
                           with 2 when rows have waited for their seal for more than a minute
  verify --after SEAL      what lies behind a seal, also behind a break
  verify --export FILE     the same for an export: with the keys alone, no database is asked
  export [--after SEAL]    JSON lines, from the beginning or behind a seal
  export --follow          goes on as the log grows: for a collector
`

const ROWS_AT_A_TIME = 10_000
/** Rows are sealed within a second while a server runs. */
const UNSEALED_MS = 60_000

/** The process's exit code: 0; 1 = the log is broken; 2 = it is not being sealed; 64 = wrong usage. Throws what went wrong on the way. */
export async function runAuditCommand(args: readonly string[], config: Config, log: Logger): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { export: { type: 'string' }, after: { type: 'string' }, follow: { type: 'boolean' } },
  })
  const keys = auditKeysOf(config)
  const [command, ...rest] = positionals
  const after = Number(values.after ?? 0)
  const known = command === 'export' || (command === 'verify' && (values.export === undefined || values.after === undefined))
  if (!known || rest.length > 0 || !Number.isSafeInteger(after) || after < 0) {
    process.stderr.write(AUDIT_USAGE)
    return 64
  }
  if (command === 'verify' && values.export !== undefined) {
    const found = await checkExport(keys, createInterface({ input: createReadStream(values.export), crlfDelay: Infinity }))
    return tell(found)
  }
  return withDatabase(config, log, async (database) => {
    if (command === 'verify') {
      const head = createSealedHead(keys, config.audit.headPath ?? join(config.database.dataDir, 'audit-head'))
      let checked = 0
      for (let place: VerifiedPlace = { position: after }; ;) {
        const page = await verifyAudit({ database, keys, head, after: place, limit: ROWS_AT_A_TIME })
        checked += page.checked
        if (page.broken || page.complete) return tell({ ...page, checked, after })
        place = page.place ?? { position: page.position }
        process.stderr.write(`${checked} events, seal ${page.position}${page.place ? ' and what is not sealed yet' : ''} ...\n`)
      }
    }
    const facts = { type: 'audit.exported', severity: 'NOTICE', metadata: { after, follow: values.follow ?? false } } as const
    const asker = { origin: {}, services: { database, auditKeys: keys } }
    await database.transaction((em) => recordAudit(em, auditEntry(asker, facts, { kind: 'SYSTEM' })))
    const ending = new AbortController()
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => ending.abort())
    for await (const line of exportAudit({ database, keys, after, ...(values.follow && { follow: ending.signal }) })) {
      if (!process.stdout.write(`${line}\n`)) await new Promise((resolve) => process.stdout.once('drain', resolve))
    }
    return 0
  })
}

interface Told {
  intact: boolean
  checked: number
  position: number
  /** nothing up to this seal was looked at */
  after?: number
  broken?: { id: string | null; why: string }
  unsealedForMs?: number
  checkpoint?: Checkpoint
}

function tell({ intact, checked, position, after = 0, broken, unsealedForMs = 0, checkpoint }: Told): number {
  if (checkpoint) {
    const { events, position: last, sealedAt, madeAt } = checkpoint
    process.stdout.write(
      `It begins behind seal ${last}: ${events} events that were sealed until ${sealedAt.toISOString()} have been removed by their age, at last on ${madeAt.toISOString()}.\n`,
    )
  }
  if (after > 0) process.stdout.write(`Nothing up to seal ${after} was looked at.\n`)
  if (intact) {
    const waiting = unsealedForMs > 0 ? ` The newest are not sealed yet, for ${(unsealedForMs / 1000).toFixed(1)} s.` : ''
    process.stdout.write(`The audit log is intact: ${checked} events, ${position} seals.${waiting}\n`)
    if (unsealedForMs <= UNSEALED_MS) return 0
    process.stdout.write(
      'It is NOT BEING SEALED: what waits could be removed without a trace. Either no server runs, or something keeps it from sealing: see its log.\n',
    )
    return 2
  }
  const where = broken?.id ? `${encodeId('auditEvent', broken.id)}: ` : ''
  process.stdout.write(`The audit log is BROKEN behind seal ${position}, after ${checked} good events: ${where}${broken?.why}.\n`)
  return 1
}

async function withDatabase<T>(config: Config, log: Logger, work: (database: Database) => Promise<T>): Promise<T> {
  await using stack = new AsyncDisposableStack()
  let url = config.database.url
  if (!url) {
    const embedded = await visitEmbedded({ dataDir: config.database.dataDir, log })
    stack.defer(() => embedded.stop())
    url = embedded.appUrl
  }
  const database = await openDatabase({ connection: url, entities: [], poolSize: 2, log })
  stack.defer(() => database.close())
  return await work(database)
}
