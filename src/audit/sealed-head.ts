/**
 * The newest seal that this process knows of, kept outside the database: whoever cuts the end of the log there, cannot cut it here.
 * The operator may put the file on another volume.
 */
import { readFile, rename, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import type { AuditKeys } from './audit-keys.ts'
import type { Head } from './seal.ts'

export interface SealedHead {
  /** undefined: nothing was ever sealed. Throws when the file is not as it was written. */
  read(): Promise<KnownHead | undefined>
  /** Remembers a newer head; an older one changes nothing. */
  remember(head: Head): Promise<void>
  /** Remembers that the log begins behind this seal; an older one changes nothing. */
  rememberCheckpoint(behind: Head): Promise<void>
  /** Remembers this head whatever was known: for a restore that its operator answers for. */
  replace(head: KnownHead): Promise<void>
}

export interface KnownHead extends Head {
  /** position of the last seal that retention removed; 0 = none */
  readonly checkpoint: number
}

interface Kept {
  position: number
  /** hexadecimal */
  hash: string
  /** absent = 0 */
  checkpoint?: number
  /** hexadecimal, by the audit key */
  signature: string
}

/** `path`: undefined = in memory alone. */
export function createSealedHead(keys: AuditKeys, path?: string): SealedHead {
  let known: KnownHead | undefined
  let written: Promise<void> = Promise.resolve()

  async function read(): Promise<KnownHead | undefined> {
    if (path === undefined) return known
    const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined
      throw error
    })
    const kept = text === undefined ? undefined : parse(text)
    if (kept) known = newer(known, kept)
    return known
  }

  function parse(text: string): KnownHead {
    const { position, hash, checkpoint = 0, signature } = JSON.parse(text) as Kept
    if (keys.check(textOf(position, hash, checkpoint), Buffer.from(signature, 'hex')) === 'TAMPERED') {
      throw new Error(`${path} is not what Sluice wrote there`)
    }
    return { position, hash: Buffer.from(hash, 'hex'), checkpoint }
  }

  async function keep(head: KnownHead): Promise<void> {
    const merged = newer(known, head)
    if (merged !== known) await replace(merged)
  }

  async function replace(head: KnownHead): Promise<void> {
    known = head
    // one after the other: the sealer and retention remember at the same time
    written = written.catch(() => {}).then(() => write(head))
    await written
  }

  async function write({ position, hash: bytes, checkpoint }: KnownHead): Promise<void> {
    if (path === undefined) return
    const hash = Buffer.from(bytes).toString('hex')
    const signature = keys.sign(textOf(position, hash, checkpoint)).toString('hex')
    const kept: Kept = { position, hash, ...(checkpoint > 0 && { checkpoint }), signature }
    // whole or not at all, also when the process dies; processes may share the directory, of several containers too
    const draft = `${path}.${hostname()}.${process.pid}`
    await writeFile(draft, `${JSON.stringify(kept)}\n`, { mode: 0o600 })
    await rename(draft, path)
  }

  return {
    read,
    remember: ({ position, hash }) => keep({ position, hash, checkpoint: 0 }),
    async rememberCheckpoint({ position, hash }) {
      await read() // another process may know a newer end
      await keep({ position, hash, checkpoint: position })
    },
    replace,
  }
}

/** What is newer of each; `known` itself when nothing is. */
function newer(known: KnownHead | undefined, other: KnownHead): KnownHead {
  if (!known) return other
  if (other.position <= known.position && other.checkpoint <= known.checkpoint) return known
  const { position, hash } = other.position > known.position ? other : known
  return { position, hash, checkpoint: Math.max(known.checkpoint, other.checkpoint) }
}

const textOf = (position: number, hash: string, checkpoint: number): string =>
  JSON.stringify(['head', position, hash, ...(checkpoint > 0 ? [checkpoint] : [])])
