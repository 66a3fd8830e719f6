/** Reads a request's parameters as JSON text: a body in UTF-8, of a length that was said and is kept, or the search of a GET. */
import type { IncomingMessage } from 'node:http'
import { Fault } from '../errors.ts'
import { Places } from './places.ts'

/** Room for an input of 1,000,000 bytes, however it is escaped. */
export const MAX_BODY_BYTES = 4_000_000

/** What no page can send to another origin without asking first (preflight), which only allowed origins pass (B15). */
export const PREFLIGHTED = ['authorization', 'graphql-preflight', 'apollo-require-preflight', 'x-requested-with']

/** Larger bodies are held in memory for long when they come slowly: of one caller, so many at a time. */
const LARGE_BODY_BYTES = 65_536
export const MAX_LARGE_BODIES = 8

/** The text of a body that `key` sends. Throws UNSUPPORTED_MEDIA_TYPE, LENGTH_REQUIRED, PAYLOAD_TOO_LARGE, RATE_LIMITED, BAD_REQUEST; never quotes it. */
export type ReadBody = (request: IncomingMessage, key: string) => Promise<string>

export function createBodyReader(): ReadBody {
  const largeBodies = new Places(MAX_LARGE_BODIES)
  return async (request, key) => {
    const bytes = checkHead(request)
    if (bytes <= LARGE_BODY_BYTES) return readText(request)
    const leave = largeBodies.take(key)
    if (!leave) {
      throw new Fault('RATE_LIMITED', `At most ${MAX_LARGE_BODIES} bodies over ${LARGE_BODY_BYTES} bytes are read at a time.`, {
        extensions: { limit: MAX_LARGE_BODIES, remaining: 0 },
      })
    }
    return readText(request).finally(leave)
  }
}

/** The length that it says. */
function checkHead(request: IncomingMessage): number {
  if (!isJson(request)) throw new Fault('UNSUPPORTED_MEDIA_TYPE')
  if (request.headers['content-encoding'] !== undefined) throw new Fault('UNSUPPORTED_MEDIA_TYPE', 'Send the body uncompressed.')
  // Node reads no further than a content-length, and refuses one that is not a number
  const said = request.headers['content-length']
  if (said === undefined) throw new Fault('LENGTH_REQUIRED')
  if (Number(said) > MAX_BODY_BYTES) throw new Fault('PAYLOAD_TOO_LARGE', `The body is over ${MAX_BODY_BYTES} bytes.`)
  return Number(said)
}

async function readText(request: IncomingMessage): Promise<string> {
  try {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks))
  } catch (cause) {
    throw new Fault('BAD_REQUEST', 'The body ended early, or is not UTF-8.', { cause })
  }
}

/**
 * The parameters of a GET, which names a persisted operation and has a header that a page's plain link or image cannot have. Throws
 * METHOD_NOT_ALLOWED when it names none, BAD_REQUEST.
 */
export function readSearch(request: IncomingMessage): string {
  const search = new URL(request.url!, 'http://sluice').searchParams
  if (search.has('query') || !(search.has('documentId') || search.has('extensions'))) {
    throw new Fault('METHOD_NOT_ALLOWED', 'Use POST; GET answers persisted operations only.')
  }
  if (!isJson(request) && !PREFLIGHTED.some((name) => name in request.headers)) {
    throw new Fault(
      'BAD_REQUEST',
      'Send one of these headers with a GET: content-type: application/json, graphql-preflight, authorization.',
    )
  }
  const json = (name: string): unknown => parseJson(name, search.get(name))
  return JSON.stringify({
    documentId: search.get('documentId'),
    operationName: search.get('operationName'),
    variables: json('variables'),
    extensions: json('extensions'),
  })
}

function parseJson(name: string, text: string | null): unknown {
  if (text === null) return null
  try {
    return JSON.parse(text)
  } catch {
    throw new Fault('BAD_REQUEST', `\`${name}\` is not JSON.`)
  }
}

function isJson({ headers }: IncomingMessage): boolean {
  const [type, ...parameters] = (headers['content-type'] ?? '')
    .toLowerCase()
    .split(';')
    .map((part) => part.trim())
  const charset = parameters.find((parameter) => parameter.startsWith('charset='))?.slice('charset='.length)
  return type === 'application/json' && (charset === undefined || charset.replaceAll('"', '') === 'utf-8')
}
