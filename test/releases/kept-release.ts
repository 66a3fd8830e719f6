/** A release as scripts/keep-release.ts keeps it. */
import { readdirSync, readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import type { FeedName } from './client.ts'

export interface KeptRelease {
  level: number
  release: string
  /** of its processes */
  settings: Record<string, string>
  /** ids of executions by flow */
  started: Record<string, string[]>
  clients: KeptClients
  /** by name, the SHA-256 of their SQL */
  migrations: Record<string, string>
  /** by name, their text */
  repeatables: Record<string, string>
  /** by name, their rows as the text of a JSON array */
  tables: Record<string, string>
  /** that it sends */
  statements: string[]
}

/** What its clients have in their hands. */
export interface KeptClients {
  /** of ann, a user */
  refreshToken: string
  /** of ann, and of an agent with the role ceo */
  apiKey: string
  agentKey: string
  /** by feed, of the administrator: the last frame's, and what the execution had told by then */
  cursors: Record<FeedName, string>
  lastSeq: number
  /** the database that the cursors name */
  epoch: string
}

/** The newest that is here. */
export function readKeptRelease(): KeptRelease {
  const [newest] = readdirSync(import.meta.dirname)
    .filter((name) => name.endsWith('.json.gz'))
    .sort((a, b) => Number(/\d+/.exec(b)) - Number(/\d+/.exec(a)))
  return JSON.parse(gunzipSync(readFileSync(`${import.meta.dirname}/${newest}`)).toString()) as KeptRelease
}
