/** Secrets in files: read those an operator wrote, and make those that development needs, for nobody else's eyes. */
import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { randomUUID } from 'node:crypto'
import { dirname } from 'node:path'

const MAX_BYTES = 65_536
/** read, write or execute for "others"; the group may read, since that is how orchestrators hand files to a service */
const OTHERS = 0o007

/** Says what is wrong with the file, never what is in it. */
export class SecretFileError extends Error {
  override readonly name = 'SecretFileError'
}

/** The text of a secret file without its last line end. Throws SecretFileError: missing, no file, too large, empty, open to others. */
export function readSecretFile(path: string): string {
  const file = open(path)
  try {
    const stat = fstatSync(file)
    if (!stat.isFile()) throw new SecretFileError('is not a regular file')
    if (stat.mode & OTHERS) throw new SecretFileError('can be used by others; run `chmod o-rwx` on it')
    if (stat.size > MAX_BYTES) throw new SecretFileError(`is larger than ${MAX_BYTES} bytes`)
    const secret = readFileSync(file, 'utf8').replace(/\r?\n$/, '')
    if (secret === '') throw new SecretFileError('is empty')
    return secret
  } finally {
    closeSync(file)
  }
}

/**
 * The secret kept at `path`, made by `make` if there is none yet. Whoever links the finished file first wins: two
 * processes that start together get one secret, and a crash leaves a whole file or none.
 */
export function keepSecretFile(path: string, make: () => string): string {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  try {
    return readSecretFile(path)
  } catch (error) {
    if (!isMissing(error)) throw error
  }
  const draft = `${path}.${randomUUID()}`
  try {
    const file = openSync(draft, 'wx', 0o600)
    try {
      fchmodSync(file, 0o600)
      writeFileSync(file, `${make()}\n`)
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    linkSync(draft, path)
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
  } finally {
    rmSync(draft, { force: true })
  }
  return readSecretFile(path)
}

function open(path: string): number {
  try {
    // non-blocking, so that a pipe in its place is refused and not waited for
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (error) {
    throw new SecretFileError(codeOf(error) === 'ENOENT' ? 'does not exist' : `cannot be read (${codeOf(error)})`, {
      cause: error,
    })
  }
}

const isMissing = (error: unknown): boolean => error instanceof SecretFileError && codeOf(error.cause) === 'ENOENT'
const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException | undefined)?.code ?? 'unknown'
