/** Secrets in the database: written, removed, and how they are stored. Their values leave by `open-secrets.ts` alone. */
import type { EntityManager } from '@mikro-orm/postgresql'
import { queryIn } from '../database/database.ts'
import type { Database } from '../database/database.ts'
import { newUuid } from '../ids.ts'
import type { Secret } from './entities/secret.ts'
import type { SecretKeys } from './secret-keys.ts'

/** of one owner */
export const MOST_SECRETS = 1_000

const SHOWN = `id, owner_id as "ownerId", name, version, created_at as "createdAt", updated_at as "updatedAt"`

export interface SecretToWrite {
  /** UUID */
  readonly ownerId: string
  readonly name: string
  readonly value: string
  /** of the secret that it replaces; undefined: there must be none of this name */
  readonly expectedVersion?: number | undefined
}
export type SecretWritten =
  | { readonly kind: 'written'; readonly secret: Secret }
  /** null: there is none */
  | { readonly kind: 'stale'; readonly currentVersion: number | null }
  | { readonly kind: 'full' }

/** In the caller's transaction. */
export async function writeSecret(em: EntityManager, keys: SecretKeys, order: SecretToWrite): Promise<SecretWritten> {
  const { ownerId, name, value, expectedVersion } = order
  const [found] = await queryIn<{ id: string; version: number }>(
    em,
    'select id, version from sluice.secrets where owner_id = $1 and name = $2 for update',
    [ownerId, name],
  )
  if (found?.version !== expectedVersion) return { kind: 'stale', currentVersion: found?.version ?? null }
  if (!found) {
    const [row] = await queryIn<{ count: number }>(
      em,
      'select count(*)::integer as count from sluice.secrets where owner_id = $1',
      [ownerId],
    )
    if (row!.count >= MOST_SECRETS) return { kind: 'full' }
  }
  const id = found?.id ?? newUuid()
  const version = (found?.version ?? 0) + 1
  const { keyId, nonce, sealed } = keys.seal(value, { id, ownerId, name, version })
  const [secret] = await queryIn<Secret>(
    em,
    found
      ? `update sluice.secrets set version = $4, key_id = $5, nonce = $6, sealed = $7, updated_at = now()
         where id = $1 and owner_id = $2 and name = $3 returning ${SHOWN}`
      : `insert into sluice.secrets (id, owner_id, name, version, key_id, nonce, sealed) values ($1, $2, $3, $4, $5, $6, $7)
         on conflict on constraint secrets_owner_name_key do nothing returning ${SHOWN}`,
    [id, ownerId, name, version, keyId, nonce, sealed],
  )
  // two made it at once: the other was first
  return secret ? { kind: 'written', secret } : { kind: 'stale', currentVersion: 1 }
}

/** In the caller's transaction. */
export async function removeSecret(
  em: EntityManager,
  { ownerId, name, expectedVersion }: { ownerId: string; name: string; expectedVersion: number },
): Promise<{ kind: 'removed'; id: string } | { kind: 'stale'; currentVersion: number | null }> {
  const [found] = await queryIn<{ id: string; version: number }>(
    em,
    'select id, version from sluice.secrets where owner_id = $1 and name = $2 for update',
    [ownerId, name],
  )
  if (found?.version !== expectedVersion) return { kind: 'stale', currentVersion: found?.version ?? null }
  await queryIn(em, 'delete from sluice.secrets where id = $1', [found.id])
  return { kind: 'removed', id: found.id }
}

/** Which of these names the owner has. */
export async function knownSecrets(database: Pick<Database, 'query'>, ownerId: string): Promise<Set<string>> {
  const rows = await database.query<{ name: string }>('select name from sluice.secrets where owner_id = $1', [ownerId])
  return new Set(rows.map(({ name }) => name))
}

/** A row as it is stored. */
export interface SealedRow {
  id: string
  ownerId: string
  name: string
  version: number
  keyId: string
  nonce: Buffer
  sealed: Buffer
}
export const SEALED = `s.id, s.owner_id as "ownerId", s.name, s.version, s.key_id as "keyId", s.nonce, s.sealed`
