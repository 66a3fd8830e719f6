/** Reads a request's body: JSON in UTF-8, of a length that was said and is kept, and within the limit. */
import type { IncomingMessage } from 'node:http'
import { Fault } from '../errors.ts'

/** Room for an input of 1,000,000 bytes, however it is escaped. */
export const MAX_BODY_BYTES = 4_000_000

/** The text. Throws UNSUPPORTED_MEDIA_TYPE, LENGTH_REQUIRED, PAYLOAD_TOO_LARGE, BAD_REQUEST; never quotes the body. */
export async function readBody(request: IncomingMessage): Promise<string> {
  checkMediaType(request.headers['content-type'] ?? '')
  if (request.headers['content-encoding'] !== undefined) throw new Fault('UNSUPPORTED_MEDIA_TYPE', 'Send the body uncompressed.')
  // Node reads no further than a content-length, and refuses one that is not a number
  const said = request.headers['content-length']
  if (said === undefined) throw new Fault('LENGTH_REQUIRED')
  if (Number(said) > MAX_BODY_BYTES) throw new Fault('PAYLOAD_TOO_LARGE', `The body is over ${MAX_BODY_BYTES} bytes.`)
  try {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks))
  } catch (cause) {
    throw new Fault('BAD_REQUEST', 'The body ended early, or is not UTF-8.', { cause })
  }
}

function checkMediaType(contentType: string): void {
  const [type, ...parameters] = contentType
    .toLowerCase()
    .split(';')
    .map((part) => part.trim())
  const charset = parameters.find((parameter) => parameter.startsWith('charset='))?.slice('charset='.length)
  const isJson = type === 'application/json' || type === 'application/graphql+json'
  if (!isJson || (charset !== undefined && charset.replaceAll('"', '') !== 'utf-8')) throw new Fault('UNSUPPORTED_MEDIA_TYPE')
}
