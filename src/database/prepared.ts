/**
 * Statements that each connection parses and plans once. Planning took longer than running for short ones (measured). Only for
 * texts that are sent again and again, and whose plan does not depend on the values: keys are looked up through an index.
 */
import { createHash } from 'node:crypto'
import type { Client } from 'pg'
import { VerifyingClient } from './verifying-client.ts'

const names = new Map<string, string>()

/** Marks a constant text; gives it back. */
export function prepared(text: string): string {
  // the protocol wants names: the same text has the same name in every process, as poolers share them
  if (!names.has(text)) names.set(text, createHash('sha256').update(text).digest('hex').slice(0, 32))
  return text
}

/** pg's client, which sends marked texts by name. Not for poolers that share connections between transactions. */
export class PreparingClient extends VerifyingClient {
  // pg declares eight overloads; this one hands all of them on
  override query = ((...args: [unknown, unknown?, ...unknown[]]): unknown => {
    const [text, values, ...rest] = args
    const name = typeof text === 'string' ? names.get(text) : undefined
    const send = super.query.bind(this) as (...sent: unknown[]) => unknown
    return name === undefined ? send(...args) : send({ name, text, values }, ...rest)
  }) as Client['query']
}
