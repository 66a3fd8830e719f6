/** What a setting is: its name in the environment, its meaning, default and shape. */
import type { z } from 'zod'
import type { Config } from './config-types.ts'

/** `process` holds what is nobody's own. */
export type Groups = Omit<Config, 'nodeEnv'> & { readonly process: Pick<Config, 'nodeEnv'> }

export interface Setting<T> {
  /** of the environment variable */
  name: string
  /** one line; what it is for, with its unit */
  doc: string
  /** text to value; its messages are sentences without a subject */
  schema: z.ZodType<T, string>
  /** the value when unset, as it would be written in the environment; undefined = there is none */
  fallback: string | undefined
  /** never shown, and may come from the file named by `<name>_FILE` */
  secret: boolean
  /** what production asks besides the shape: its mistakes, as sentences without a subject */
  inProduction?(value: T): string[]
  /** what may be shown of a secret; nothing, unless it is here */
  shown?(value: T): string
}

export function setting<T>(name: string, doc: string, fallback: string, schema: z.ZodType<T, string>): Setting<T> {
  return { name, doc, schema, fallback, secret: false }
}
export function optional<T>(name: string, doc: string, schema: z.ZodType<T, string>): Setting<T> {
  return { name, doc, schema, fallback: undefined, secret: false }
}
export function secret(
  name: string,
  doc: string,
  schema: z.ZodType<string, string>,
  inProduction: (value: string) => string[],
  shown?: (value: string) => string,
): Setting<string> {
  return { name, doc, schema, fallback: undefined, secret: true, inProduction, ...(shown && { shown }) }
}

/** Every field of a group has its setting. */
export type Settings<Group> = { readonly [K in keyof Group]-?: Setting<NonNullable<Group[K]>> }
