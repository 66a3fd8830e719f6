/** The audit log as JSON lines, and the check of such an export without any database: with the keys alone. */
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import type { Database } from '../database/database.ts'
import { ACTOR_KINDS, SEVERITIES } from './audit-entry.ts'
import type { AuditKeys } from './audit-keys.ts'
import { checkCheckpoint, lastSealOf } from './checkpoint.ts'
import type { Checkpoint } from './checkpoint.ts'
import { behind, readCheckpoint, readRowsBetween, readSeal, readSeals } from './read-chain.ts'
import { checkSeal } from './seal.ts'
import type { Break, Head, Seal, SealedRow } from './seal.ts'

/** Seals that are read at a time hold about so many rows. */
const ROWS_AT_A_TIME = 1_000
const FOLLOW_MS = 1_000

export interface ExportOptions {
  database: Pick<Database, 'query'>
  keys: AuditKeys
  /** begins behind this seal, 0; where the log begins, when what follows it was removed by its age */
  after?: number
  /** ends with this seal; the newest */
  through?: number
  /** goes on as the log grows, until aborted; such an export has no end line */
  follow?: AbortSignal
}

/**
 * Lines without their ends: a head, then for each seal its events and the seal, at last a signed end that says how much there was.
 * What is not sealed yet is not exported. Throws when there is no seal `after`, or when it was removed while it was read.
 */
export async function* exportAudit(options: ExportOptions): AsyncGenerator<string> {
  const { database, keys, after = 0, through = Number.MAX_SAFE_INTEGER, follow } = options
  const removed = await readCheckpoint(database)
  if (removed && after > 0 && after < removed.position) {
    throw new Error(`what follows seal ${after} was removed, up to seal ${removed.position}`)
  }
  let last = removed && after <= removed.position ? lastSealOf(removed) : after > 0 ? await readSeal(database, after) : undefined
  if (after > 0 && !last) throw new Error(`there is no seal ${after}`)
  const begins = last?.position ?? 0
  const checkpoint = removed && begins === removed.position ? { checkpoint: checkpointLine(removed) } : {}
  let rows = 0
  const head: HeadLine = { export: 'sluice audit', version: 1, after: begins, hash: last ? hex(last.hash) : null, ...checkpoint }
  yield JSON.stringify(head)
  for (;;) {
    const seals = await readSeals(database, last?.position ?? 0, ROWS_AT_A_TIME)
    const wanted = seals.filter(({ position }) => position <= through)
    for (const seal of wanted) {
      const found = await readRowsBetween(database, behind(last), behind(seal))
      const fits = found.length >= seal.ids.length && seal.position === (last?.position ?? 0) + 1
      if (!fits && (await readCheckpoint(database))?.position !== removed?.position) {
        throw new Error('the beginning of the log was removed by its age while it was read: export it again')
      }
      for (const row of found) {
        rows++
        yield JSON.stringify({ event: { ...row, mac: row.mac ? hex(row.mac) : null } })
      }
      yield JSON.stringify({ seal: { ...seal, hash: hex(seal.hash), sealedAt: seal.sealedAt.toISOString() } })
      last = seal
    }
    if (wanted.length < seals.length || last?.position === through) break
    if (seals.length > 0) continue
    if (!follow) break
    await sleep(FOLLOW_MS, undefined, { signal: follow }).catch(() => {})
    if (follow.aborted) return
  }
  const position = last?.position ?? 0
  const signature = hex(keys.sign(endText(head, position, rows)))
  yield JSON.stringify({ end: { position, rows, signature } } satisfies EndLine)
}

export interface ExportCheck {
  intact: boolean
  /** events that are as they were written */
  checked: number
  /** the last seal that is as it was made */
  position: number
  broken?: Break
  /** where it begins, when what was before was removed by its age */
  checkpoint?: Checkpoint
}

/** Checks what `exportAudit` wrote, line by line; nothing else is needed but the keys. */
export async function checkExport(keys: AuditKeys, lines: AsyncIterable<string>): Promise<ExportCheck> {
  let head: HeadLine | undefined
  let checkpoint: Checkpoint | undefined
  let last: Head | undefined
  let rows: SealedRow[] = []
  let checked = 0
  let ended = false
  const result = (broken?: Break): ExportCheck => ({
    ...{ intact: !broken, checked, position: last?.position ?? head?.after ?? 0 },
    ...(broken && { broken }),
    ...(checkpoint && { checkpoint }),
  })
  for await (const text of lines) {
    if (text.trim() === '') continue
    const line = parse(text)
    if (ended || !line)
      return result({ id: rows[0]?.id ?? null, why: ended ? 'there is more behind the end' : 'a line is no line of an export' })
    if ('export' in line) {
      if (head) return result({ id: null, why: 'the head does not belong there' })
      head = line
      if (line.hash !== null) last = { position: line.after, hash: bytes(line.hash) }
      checkpoint = line.checkpoint && asCheckpoint(line.checkpoint)
      const moved = checkpoint && (checkpoint.position !== line.after || line.checkpoint?.hash !== line.hash)
      const wrong = moved
        ? { id: null, why: `the checkpoint does not belong there` }
        : checkpoint && checkCheckpoint(keys, checkpoint)
      if (wrong) return result(wrong)
    } else if (!head) return result({ id: null, why: 'the head is missing' })
    else if ('event' in line) rows.push({ ...line.event, mac: line.event.mac === null ? null : bytes(line.event.mac) })
    else if ('seal' in line) {
      const seal: Seal = { ...line.seal, hash: bytes(line.seal.hash), sealedAt: new Date(line.seal.sealedAt) }
      const broken = checkSeal(keys, last, seal, rows)
      if (broken) return result(broken)
      checked += rows.length
      rows = []
      last = seal
    } else {
      const { position, rows: count, signature } = line.end
      const fits = position === (last?.position ?? 0) && count === checked && rows.length === 0
      const verdict = fits ? keys.check(endText(head, position, count), bytes(signature)) : 'TAMPERED'
      if (verdict !== 'GOOD')
        return result({ id: null, why: `the end does not fit: it says ${count} events up to seal ${position}` })
      ended = true
    }
  }
  return ended ? result() : result({ id: null, why: 'the end is missing: the export was cut' })
}

const text = z.string()
const maybeText = text.nullable()
const CheckpointLine = z.strictObject({
  ...{ position: z.number(), hash: text, lastId: text, lastXid: text, sealedAt: z.iso.datetime() },
  ...{ events: z.number(), madeAt: z.iso.datetime(), signature: text },
})
const HeadLine = z.strictObject({
  ...{ export: z.literal('sluice audit'), version: z.literal(1), after: z.number(), hash: maybeText },
  checkpoint: CheckpointLine.optional(),
})
const EndLine = z.strictObject({ end: z.strictObject({ position: z.number(), rows: z.number(), signature: text }) })
const SealLine = z.strictObject({
  seal: z.strictObject({ position: z.number(), ids: z.array(text), lastXid: text, hash: text, sealedAt: z.iso.datetime() }),
})
const EventLine = z.strictObject({
  event: z.strictObject({
    ...{ id: text, at: text, type: text, severity: z.enum(SEVERITIES), actorKind: z.enum(ACTOR_KINDS), actorId: maybeText },
    ...{ flowId: maybeText, executionId: maybeText, success: z.boolean(), durationMs: z.number().nullable() },
    ...{ tokens: z.number().nullable(), errorCode: maybeText, metadata: z.record(text, z.unknown()).nullable() },
    ...{ ip: maybeText, userAgent: maybeText, mac: maybeText, xid: text },
  }),
})
const Line = z.union([EventLine, SealLine, HeadLine, EndLine])
type HeadLine = z.infer<typeof HeadLine>
type EndLine = z.infer<typeof EndLine>

/** undefined when it is no such line. */
function parse(line: string): z.infer<typeof Line> | undefined {
  try {
    return Line.safeParse(JSON.parse(line)).data
  } catch {
    return undefined
  }
}

/** Says of the beginning what the head says: neither can be changed without the other. */
const endText = ({ after, checkpoint }: HeadLine, position: number, rows: number): string =>
  JSON.stringify(['export', after, position, rows, ...(checkpoint ? [checkpoint.signature] : [])])

const checkpointLine = ({ hash, signature, sealedAt, madeAt, ...rest }: Checkpoint): z.infer<typeof CheckpointLine> => ({
  ...rest,
  ...{ hash: hex(hash), signature: hex(signature), sealedAt: sealedAt.toISOString(), madeAt: madeAt.toISOString() },
})
const asCheckpoint = ({ hash, signature, sealedAt, madeAt, ...rest }: z.infer<typeof CheckpointLine>): Checkpoint => ({
  ...rest,
  ...{ hash: bytes(hash), signature: bytes(signature), sealedAt: new Date(sealedAt), madeAt: new Date(madeAt) },
})
const hex = (value: Uint8Array): string => Buffer.from(value).toString('hex')
const bytes = (value: string): Buffer => Buffer.from(value, 'hex')
