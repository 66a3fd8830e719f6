/** A release as scripts/keep-release.ts keeps it. */
import { readdirSync, readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'

export interface KeptRelease {
  level: number
  release: string
  /** of its processes */
  settings: Record<string, string>
  /** ids of executions by flow */
  started: Record<string, string[]>
  /** by name, the SHA-256 of their SQL */
  migrations: Record<string, string>
  /** by name, their text */
  repeatables: Record<string, string>
  /** by name, their rows as the text of a JSON array */
  tables: Record<string, string>
  /** that it sends */
  statements: string[]
}

/** The newest that is here. */
export function readKeptRelease(): KeptRelease {
  const [newest] = readdirSync(import.meta.dirname)
    .filter((name) => name.endsWith('.json.gz'))
    .sort((a, b) => Number(/\d+/.exec(b)) - Number(/\d+/.exec(a)))
  return JSON.parse(gunzipSync(readFileSync(`${import.meta.dirname}/${newest}`)).toString()) as KeptRelease
}
