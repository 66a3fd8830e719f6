/** Secrets that development needs and nobody set: made once, kept 0600 in the data directory. Production never gets here unset. */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { keepSecretFile } from './secret-files.ts'

export interface Secrets {
  /** signs access tokens, HS256 */
  jwtSecret: string
  /** seals the secrets that steps use */
  secretsKey: string
}

/** What is set stays; what is not is read from `dataDir`, or made there by the first process that asks. */
export function developmentSecrets(dataDir: string, given: Partial<Secrets> = {}): Secrets {
  const keep = (name: string): string => keepSecretFile(join(dataDir, name), () => randomBytes(48).toString('base64url'))
  return { jwtSecret: given.jwtSecret ?? keep('jwt-secret'), secretsKey: given.secretsKey ?? keep('secrets-key') }
}
