/** After a change of the key: everything that older keys sealed is sealed with the current one (B9). */
import { queryIn } from '../database/database.ts'
import type { Database } from '../database/database.ts'
import type { Logger } from '../log.ts'
import { SIGNATURE } from './agent-signatures.ts'
import { UnsealError } from './secret-keys.ts'
import type { SecretKeys } from './secret-keys.ts'
import { SEALED } from './secrets.ts'
import type { SealedRow } from './secrets.ts'

/** Beside everything else, at every start; the log tells what came of it. Resolves when it is over, and never rejects. */
export async function rekeyAtStart(database: Pick<Database, 'transaction'>, keys: SecretKeys, log: Logger): Promise<void> {
  try {
    const { sealedAnew, unreadable } = await rekeySecrets(database, keys)
    const keyId = keys.currentId
    if (sealedAnew > 0) log.info({ count: sealedAnew, keyId }, 'secrets were sealed with the current key')
    if (unreadable > 0) log.error({ count: unreadable, keyId }, 'secrets cannot be opened with the keys that are configured')
  } catch (error) {
    log.error({ err: error }, 'secrets could not be sealed with the current key')
  }
}

export interface Rekeyed {
  /** sealed under the current key by this call */
  readonly sealedAnew: number
  /** sealed with keys that are not configured, or damaged: left as they are */
  readonly unreadable: number
}

const BATCH = 100

/** Where sealed values lie: a table, and what selects and changes them. */
interface Shelf {
  readonly table: string
  readonly selection: string
  /** of the key's id, the nonce and the sealed value */
  readonly columns: readonly [string, string, string]
}

const SHELVES: readonly Shelf[] = [
  { table: 'sluice.secrets', selection: SEALED, columns: ['key_id', 'nonce', 'sealed'] },
  {
    table: 'sluice.api_keys',
    selection: `s.id, s.owner_id as "ownerId", '${SIGNATURE.name}' as name, ${SIGNATURE.version} as version,
      s.signature_key_id as "keyId", s.signature_nonce as nonce, s.signature_sealed as sealed`,
    columns: ['signature_key_id', 'signature_nonce', 'signature_sealed'],
  },
]

/** Seals everything under the current key, in batches; several processes may do it at once. Versions stay: nothing else changed. */
export async function rekeySecrets(database: Pick<Database, 'transaction'>, keys: SecretKeys): Promise<Rekeyed> {
  const done = { sealedAnew: 0, unreadable: 0 }
  for (const shelf of SHELVES) {
    const { sealedAnew, unreadable } = await rekeyShelf(database, keys, shelf)
    done.sealedAnew += sealedAnew
    done.unreadable += unreadable
  }
  return done
}

async function rekeyShelf(
  database: Pick<Database, 'transaction'>,
  keys: SecretKeys,
  { table, selection, columns: [keyId, nonce, sealed] }: Shelf,
): Promise<Rekeyed> {
  let sealedAnew = 0
  let unreadable = 0
  for (let after = '00000000-0000-0000-0000-000000000000'; ;) {
    const done = await database.transaction(async (em) => {
      const rows = await queryIn<SealedRow>(
        em,
        `select ${selection} from ${table} s where s.${keyId} <> $1 and s.id > $2 order by s.id limit ${BATCH} for update skip locked`,
        [keys.currentId, after],
      )
      const anew = rows.flatMap((row) => sealAnew(keys, row) ?? [])
      await queryIn(
        em,
        `update ${table} s set ${keyId} = $1, ${nonce} = n.nonce, ${sealed} = n.sealed
         from unnest($2::uuid[], $3::bytea[], $4::bytea[]) as n (id, nonce, sealed) where s.id = n.id`,
        [keys.currentId, anew.map((one) => one.id), anew.map((one) => one.nonce), anew.map((one) => one.sealed)],
      )
      return { last: rows.at(-1)?.id, anew: anew.length, failed: rows.length - anew.length }
    })
    if (done.last === undefined) return { sealedAnew, unreadable }
    after = done.last
    sealedAnew += done.anew
    unreadable += done.failed
  }
}

function sealAnew(keys: SecretKeys, row: SealedRow): { id: string; nonce: Buffer; sealed: Buffer } | undefined {
  try {
    return { id: row.id, ...keys.seal(keys.unseal(row, row), row) }
  } catch (error) {
    if (error instanceof UnsealError) return undefined
    throw error
  }
}
