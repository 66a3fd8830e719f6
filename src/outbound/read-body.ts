/** The body of an answer, unpacked, no larger than it may be: neither as it comes nor as what it unpacks to. */
import { pipeline } from 'node:stream'
import type { Readable, Transform } from 'node:stream'
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib'
import { OutboundFailure } from './outbound-problem.ts'

const UNPACK: Readonly<Record<string, () => Transform>> = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
}
/** What is asked for. */
export const ACCEPTED_ENCODINGS = 'gzip, br'

/** `declared`: what content-length says, if it says something. Rejects with an `OutboundFailure` when it may not be read. */
export async function readBody(
  stream: Readable,
  { encoding, declared, maxBytes }: { encoding: string; declared: number; maxBytes: number },
): Promise<Buffer> {
  const tooLarge = new OutboundFailure('TOO_LARGE', `The answer is over ${maxBytes} bytes.`)
  const plain = encoding === '' || encoding === 'identity'
  const unpack = plain ? undefined : UNPACK[encoding]
  if (!plain && !unpack) throw discard(stream, new OutboundFailure('UNREADABLE', 'The encoding of the answer is unknown.'))
  if (plain && declared > maxBytes) throw discard(stream, tooLarge)

  const parts: Buffer[] = []
  let bytes = 0
  // the callback is the pipeline's, which needs one; the loop below sees the same error
  for await (const part of unpack ? pipeline(stream, unpack(), () => undefined) : stream) {
    bytes += (part as Buffer).length
    if (bytes > maxBytes) throw discard(stream, tooLarge)
    parts.push(part as Buffer)
  }
  return Buffer.concat(parts)
}

/** What is not read closes its connection. */
function discard(stream: Readable, why: OutboundFailure): OutboundFailure {
  stream.on('error', () => undefined).destroy()
  return why
}
