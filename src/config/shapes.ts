/** The shapes of settings: text to value, each mistake as a sentence without a subject; and what production asks of them besides. */
import { resolve } from 'node:path'
import { z } from 'zod'
import { readRedisUrl, redisAddress } from '../../clients/agent/redis-address.ts'
import { NEVER_HANDED_ON } from '../engine/handlers/child-environment.ts'
import type { QuerySourceConfig } from './config-types.ts'
import { PASSWORD_MAX_BYTES } from '../identity/password-rule.ts'
import { weaknessOfSecret } from '../identity/secret-rule.ts'
import { NAME } from '../language/any-step.ts'
import { isAllowable } from '../outbound/address-rule.ts'
import { networkOf } from '../server/client-address.ts'

export const text = z.string().min(1)
export const path = text.transform((value) => resolve(value))
export const variable = text
  .regex(/^[A-Za-z_]\w*$/, { error: 'must be names of variables' })
  .refine((name) => !NEVER_HANDED_ON.test(name), { error: 'must not name what belongs to Sluice itself' })

/** The largest number of what is only counted. */
export const MANY = 1_000_000_000

export function whole(min: number, max: number): z.ZodType<number, string> {
  const error = `must be a whole number from ${min} to ${max}`
  return text
    .regex(/^\d{1,15}$/, { error })
    .transform(Number)
    .pipe(z.number().min(min, { error }).max(max, { error }))
}

/** `7-90` */
export const dayRange = text
  .regex(/^[1-9]\d{0,3}-[1-9]\d{0,3}$/, { error: 'must be two numbers of days such as 7-90' })
  .transform((value) => {
    const [least, most] = value.split('-').map(Number)
    return { least: least!, most: most! }
  })
  .refine(({ least, most }) => least <= most, { error: 'must be two numbers of days, the lower one first' })

export function oneOf<const T extends string>(...values: T[]): z.ZodType<T, string> {
  const error = `must be one of ${values.join(', ')}`
  return text.refine((value) => values.includes(value as T), { error }).transform((value) => value as T)
}

export const yesOrNo = oneOf('true', 'false').transform((value) => value === 'true')

/** Comma-separated; blanks around items are dropped; the empty text is the empty list. */
export function list<T>(item: z.ZodType<T, string>): z.ZodType<readonly T[], string> {
  const items = z
    .string()
    .transform((value): readonly string[] => (value.trim() === '' ? [] : value.split(',').map((part) => part.trim())))
  return items.pipe(z.array(item).readonly())
}

export function url(...protocols: string[]): z.ZodType<string, string> {
  const accepted = protocols.map((protocol) => `${protocol}://`).join(' or ')
  const fits = (value: string): boolean => protocols.some((protocol) => URL.parse(value)?.protocol === `${protocol}:`)
  return text.refine(fits, { error: `must be a URL that begins with ${accepted}` })
}

export const redisUrl = text.superRefine((value, context) => {
  for (const message of readRedisUrl(value).mistakes) context.addIssue({ code: 'custom', message })
})

export const origin = text.refine((value) => URL.parse(value)?.origin === value && /^https?:[^*]+$/.test(value), {
  error: 'must hold exact origins such as https://app.example.com, without a path, a last slash or *',
})
export const proxy = text.refine(isNetwork, {
  error: 'must hold addresses or networks such as 10.0.0.0/8, and none that is everybody',
})
export const allowable = text.refine(isAllowable, {
  error:
    'must hold networks such as 10.1.0.0/16 (none that is everybody), addresses, or hosts with a port such as billing.internal:8080',
})
const role = text.regex(/^[A-Za-z0-9_]{1,64}$/, { error: 'must hold names of letters, digits and _' })
export const roles = list(role).refine((names) => names.length > 0, { error: 'must name at least one role' })

export const poolName = text.regex(NAME, { error: 'must hold names of 1 to 64 letters, digits and _' })
export const pools = list(poolName)
  .refine((names) => names.length > 0, { error: 'must name at least one pool' })
  .refine((names) => new Set(names).size === names.length, { error: 'must not name a pool twice' })

export const password = text.refine((value) => Buffer.byteLength(value) <= PASSWORD_MAX_BYTES, {
  error: `must have at most ${PASSWORD_MAX_BYTES} bytes`,
})
export const strong = (value: string): string[] => [weaknessOfSecret(value) ?? []].flat()

/** A network of all addresses would believe every client what it says of itself. */
function isNetwork(value: string): boolean {
  try {
    return networkOf(value)[1] > 0
  } catch {
    return false
  }
}

const isLoopback = (host: string): boolean => host === 'localhost' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host)

/** TLS with a verified certificate, unless nothing leaves the machine: a Unix socket or loopback (D6). */
export function verifiedPostgres(value: string): string[] {
  const { hostname, searchParams } = new URL(value)
  const hosts = searchParams.has('host') ? searchParams.getAll('host') : [decodeURIComponent(hostname)]
  const local = hosts.every((host) => host === '' || host.startsWith('/') || isLoopback(host))
  // of several, the driver takes the last
  return local || searchParams.getAll('sslmode').at(-1) === 'verify-full'
    ? []
    : ['goes over the network: add sslmode=verify-full to it']
}
export function verifiedRedis(value: string): string[] {
  const { kind, tls, places } = redisAddress(value)
  // the driver takes `?tls=false` at its word, whatever the protocol says
  const isVerified = tls && !new URLSearchParams(value.split('?')[1]).has('tls')
  // sentinels that are near may name a master that is not
  if (kind === 'sentinel') return isVerified ? [] : ['goes over the network: use rediss+sentinel://']
  const isLocal = places.every(({ host }) => isLoopback(host.includes(':') ? `[${host}]` : host))
  return isVerified || isLocal ? [] : ['goes over the network: use rediss://, without tls=']
}
export function overTls(value: string): string[] {
  const { protocol, hostname } = new URL(value)
  return protocol === 'https:' || isLoopback(hostname) ? [] : ['must begin with https://']
}

export const databaseUrl = url('postgres', 'postgresql')

const querySource = text
  .regex(/^[A-Za-z0-9_]{1,64}=/, { error: 'must hold name=postgres://..., with names of letters, digits and _' })
  .transform((value): QuerySourceConfig => {
    const at = value.indexOf('=')
    return { name: value.slice(0, at), url: value.slice(at + 1) }
  })
  .refine(({ url }) => databaseUrl.safeParse(url).success, { error: 'must hold URLs that begin with postgres://' })
export const querySources = list(querySource).refine(
  (sources) => new Set(sources.map(({ name }) => name)).size === sources.length,
  { error: 'must not name a source twice' },
)
