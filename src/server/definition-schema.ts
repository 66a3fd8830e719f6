/** `/schema/definition.json`: the JSON Schema of definitions, for editors. It tells of the language alone, so whoever asks may have it. */
import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { definitionJsonSchema } from '../language/definition-json-schema.ts'

let made: { text: string; etag: string } | undefined

/** False = the path is another. */
export function answerDefinitionSchema(path: string, request: IncomingMessage, response: ServerResponse): boolean {
  if (path !== '/schema/definition.json') return false
  const { text, etag } = (made ??= make())
  const headers = { etag, 'cache-control': 'no-cache' }
  if (request.headers['if-none-match'] === etag) response.writeHead(304, headers).end()
  else response.writeHead(200, { ...headers, 'content-type': 'application/schema+json; charset=utf-8' }).end(text)
  return true
}

function make(): { text: string; etag: string } {
  const text = JSON.stringify(definitionJsonSchema())
  return { text, etag: `"${createHash('sha256').update(text).digest('base64url')}"` }
}
