/** After a change of the key: everything that older keys sealed is sealed with the current one (B9). */
import { queryIn } from '../database/database.ts'
import type { Database } from '../database/database.ts'
import type { Logger } from '../log.ts'
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

/** Seals everything under the current key, in batches; several processes may do it at once. Versions stay: nothing else changed. */
export async function rekeySecrets(database: Pick<Database, 'transaction'>, keys: SecretKeys): Promise<Rekeyed> {
  let sealedAnew = 0
  let unreadable = 0
  for (let after = '00000000-0000-0000-0000-000000000000'; ;) {
    const done = await database.transaction(async (em) => {
      const rows = await queryIn<SealedRow>(
        em,
        `select ${SEALED} from sluice.secrets s where s.key_id <> $1 and s.id > $2 order by s.id limit ${BATCH} for update skip locked`,
        [keys.currentId, after],
      )
      const anew = rows.flatMap((row) => sealAnew(keys, row) ?? [])
      await queryIn(
        em,
        `update sluice.secrets s set key_id = $1, nonce = n.nonce, sealed = n.sealed
         from unnest($2::uuid[], $3::bytea[], $4::bytea[]) as n (id, nonce, sealed) where s.id = n.id`,
        [keys.currentId, anew.map(({ id }) => id), anew.map(({ nonce }) => nonce), anew.map(({ sealed }) => sealed)],
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
