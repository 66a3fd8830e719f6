/** Persisted operations (trusted documents): named by the SHA-256 of their text, read at start from files, never taken from a request. */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { GraphQLSchema } from 'graphql'
import { Fault } from '../errors.ts'
import type { Params } from './admit.ts'
import { createPreparer } from './prepare.ts'

export interface PersistedOperations {
  /** text by lower-case hex SHA-256 */
  readonly documents: ReadonlyMap<string, string>
  /** nothing else runs */
  readonly only: boolean
}

/**
 * Reads `.json` manifests (`{ "<sha256>": "<document>" }` as GraphQL Code Generator writes them, or Apollo's format) and `.graphql`
 * files (one operation each, named by the hash of the whole file); a directory stands for all such files in it. Throws one Error
 * that lists every mistake.
 */
export function readPersistedOperations(paths: readonly string[]): ReadonlyMap<string, string> {
  const documents = new Map<string, string>()
  const mistakes: string[] = []
  for (const file of paths.flatMap(filesAt)) {
    try {
      for (const [hash, text] of entriesOf(file)) {
        if (hash === sha256(text)) documents.set(hash, text)
        else mistakes.push(`${file}: ${JSON.stringify(hash.slice(0, 80))} is not the SHA-256 of its document`)
      }
    } catch (error) {
      mistakes.push(`${file}: ${(error as Error).message}`)
    }
  }
  if (mistakes.length > 0) throw new Error(`persisted operations cannot be read:\n  - ${mistakes.join('\n  - ')}`)
  return documents
}

function filesAt(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path]
  const names = readdirSync(path).filter((name) => /\.(json|graphql)$/.test(name))
  return names.sort().map((name) => join(path, name))
}

function entriesOf(file: string): [hash: string, text: string][] {
  const content = readFileSync(file, 'utf8')
  if (file.endsWith('.graphql')) return [[sha256(content), content]]
  const manifest = JSON.parse(content) as Record<string, unknown> & { operations?: { id: unknown; body: unknown }[] }
  const entries = Array.isArray(manifest.operations)
    ? manifest.operations.map(({ id, body }) => [id, body])
    : Object.entries(manifest)
  return entries.map(([hash, text]) => {
    if (typeof hash !== 'string' || typeof text !== 'string') throw new Error('must map hashes to documents')
    return [hash.replace(/^sha256:/, ''), text]
  })
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

export interface PersistedCheck {
  readonly id: string
  readonly name: string
  /** why the doors would refuse it; none = it is good */
  readonly problems: readonly string[]
}

/** Every one, checked as a request for it would be. */
export function checkPersisted(documents: PersistedOperations['documents'], schema: GraphQLSchema): PersistedCheck[] {
  const prepare = createPreparer(schema, false)
  return [...documents].map(([id, text]) => {
    const plan = prepare(text)
    if ('operation' in plan) return { id, name: plan.operation.name?.value ?? '(without a name)', problems: [] }
    return { id, name: '(refused)', problems: plan.map(({ message }) => message) }
  })
}

/**
 * The text to run: the one persisted under the id that the request names, or the request's own. Throws NOT_FOUND for an unknown id,
 * FORBIDDEN for a text that is not persisted where only persisted ones run, and BAD_REQUEST. A text that comes with an id is never
 * remembered under it.
 */
export function chooseDocument({ documents, only }: PersistedOperations, params: Params): string {
  const id = idOf(params)
  const text = params.query ?? ''
  if (id !== undefined && text === '') {
    const document = documents.get(id)
    if (document === undefined) throw new Fault('NOT_FOUND', 'No operation is persisted under this id.')
    return document
  }
  if (id === undefined && !only) return text
  const hash = sha256(text)
  if (id !== undefined && id !== hash) throw new Fault('BAD_REQUEST', 'The id is not the SHA-256 of the document.')
  if (only && !documents.has(hash)) throw new Fault('FORBIDDEN', 'Only persisted operations run here.')
  return text
}

/** `documentId` as GraphQL over HTTP has it, or Apollo's `extensions.persistedQuery.sha256Hash`. */
function idOf({ documentId, extensions }: Params): string | undefined {
  const given = documentId ?? (extensions?.['persistedQuery'] as { sha256Hash?: unknown } | null | undefined)?.sha256Hash
  if (given === undefined || given === null) return undefined
  const hash = typeof given === 'string' ? /^(?:sha256:)?([0-9a-f]{64})$/i.exec(given)?.[1] : undefined
  if (hash === undefined)
    throw new Fault('BAD_REQUEST', 'The id of a persisted operation is the SHA-256 of its document, in hex.')
  return hash.toLowerCase()
}
