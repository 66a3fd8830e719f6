/** Secrets that development needs and nobody set: made once, kept 0600 in the data directory. Production never gets here unset. */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { keepSecretFile } from './secret-files.ts'

export interface Secrets {
  /** signs access tokens, HS256 */
  jwtSecret: string
}

/** What is set stays; what is not is read from `dataDir`, or made there by the first process that asks. */
export function developmentSecrets(dataDir: string, given: Partial<Secrets> = {}): Secrets {
  return {
    jwtSecret: given.jwtSecret ?? keepSecretFile(join(dataDir, 'jwt-secret'), () => randomBytes(48).toString('base64url')),
  }
}
