/** Which origins' pages may call: those of the list, and the server's own (B7). */
import type { ServerConfig } from '../config/config-types.ts'

const ANY_ADDRESS = new Set(['0.0.0.0', '::', '[::]'])
const LOOPBACK = ['localhost', '127.0.0.1', '[::1]']

export type AllowsOrigin = (origin: string, host: string | undefined) => boolean

/**
 * `port` is the one that is listened on. Bound to one address the server knows its own names; bound to all of them, its own
 * origin is the one whose host the request was sent to.
 */
export function createOriginRule(
  config: Pick<ServerConfig, 'host' | 'publicUrl' | 'allowedOrigins'>,
  port: number,
): AllowsOrigin {
  const hosts = ANY_ADDRESS.has(config.host) || LOOPBACK.includes(config.host) ? LOOPBACK : [config.host]
  const own = hosts.map((host) => new URL(`http://${host}:${port}`).origin)
  const allowed = new Set([...config.allowedOrigins, ...own, ...(config.publicUrl ? [new URL(config.publicUrl).origin] : [])])
  return (origin, host) =>
    allowed.has(origin) || (ANY_ADDRESS.has(config.host) && host !== undefined && URL.parse(origin)?.host === host)
}
