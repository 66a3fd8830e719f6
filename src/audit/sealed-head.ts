/**
 * The newest seal that this process knows of, kept outside the database: whoever cuts the end of the log there, cannot cut it here.
 * The operator may put the file on another volume.
 */
import { readFile, rename, writeFile } from 'node:fs/promises'
import type { AuditKeys } from './audit-keys.ts'
import type { Head } from './seal.ts'

export interface SealedHead {
  /** undefined: nothing was ever sealed. Throws when the file is not as it was written. */
  read(): Promise<Head | undefined>
  /** Remembers a newer head; an older one changes nothing. */
  remember(head: Head): Promise<void>
}

interface Kept {
  position: number
  /** hexadecimal */
  hash: string
  /** hexadecimal, by the audit key */
  signature: string
}

/** `path`: undefined = in memory alone. */
export function createSealedHead(keys: AuditKeys, path?: string): SealedHead {
  let known: Head | undefined

  async function read(): Promise<Head | undefined> {
    if (path === undefined) return known
    const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined
      throw error
    })
    const kept = text === undefined ? undefined : parse(text)
    if (kept && (known === undefined || kept.position > known.position)) known = kept
    return known
  }

  function parse(text: string): Head {
    const { position, hash, signature } = JSON.parse(text) as Kept
    if (keys.check(textOf(position, hash), Buffer.from(signature, 'hex')) === 'TAMPERED') {
      throw new Error(`${path} is not what Sluice wrote there`)
    }
    return { position, hash: Buffer.from(hash, 'hex') }
  }

  return {
    read,
    async remember(head) {
      if (known && known.position >= head.position) return
      known = head
      if (path === undefined) return
      const hash = Buffer.from(head.hash).toString('hex')
      const kept: Kept = { position: head.position, hash, signature: keys.sign(textOf(head.position, hash)).toString('hex') }
      // whole or not at all, also when the process dies
      await writeFile(`${path}.new`, `${JSON.stringify(kept)}\n`, { mode: 0o600 })
      await rename(`${path}.new`, path)
    },
  }
}

const textOf = (position: number, hash: string): string => JSON.stringify(['head', position, hash])
