/** How to reach the PostgreSQL and the Redis that URLs name, so that a proxy can stand before them: TLS is spoken behind the proxy. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, isIP } from 'node:net'
import type { Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { ConnectionOptions } from 'node:tls'
import type { RedisAddress, RedisPlace } from '../../clients/agent/redis-address.ts'
import type { OpenUpstream } from './proxy.ts'

/** https://www.postgresql.org/docs/18/protocol-message-formats.html, SSLRequest */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f])
const WILLING = 'S'.charCodeAt(0)

export function toPostgres(text: string): OpenUpstream {
  const url = new URL(text)
  const host = hostOf(url)
  const port = Number(url.port || 5432)
  const tls = postgresTls(url.searchParams, host)
  return async () => {
    const socket = await connected(host.startsWith('/') ? connect(`${host}/.s.PGSQL.${port}`) : connect(port, host))
    if (!tls) return socket
    socket.write(SSL_REQUEST)
    const [answer] = (await once(socket, 'data')) as [Buffer]
    if (answer[0] !== WILLING) throw new Error('PostgreSQL speaks no TLS')
    return secured(socket, tls)
  }
}

export function toRedis({ host, port }: RedisPlace, { tls }: Pick<RedisAddress, 'tls'>): OpenUpstream {
  return async () => {
    const socket = await connected(connect(port, host))
    return tls ? secured(socket, serverName(host)) : socket
  }
}

/** The same URL for those who go through the proxy: user, password, database and what has nothing to do with TLS stay. */
export function throughProxy(text: string, port: number): string {
  const url = new URL(text)
  for (const name of [...url.searchParams.keys()]) if (name.startsWith('ssl')) url.searchParams.delete(name)
  const user = url.username === '' && url.password === '' ? '' : `${url.username}:${url.password}@`
  return `${url.protocol}//${user}127.0.0.1:${port}${url.pathname}${url.search}`
}

/** A socket's directory stands percent-encoded where a host does; IPv6 in brackets. */
const hostOf = ({ hostname, searchParams }: URL): string =>
  decodeURIComponent(hostname).replaceAll(/^\[|\]$/g, '') || searchParams.get('host') || '127.0.0.1'

/** As `pg` reads it: every mode but `disable` and `no-verify` verifies the certificate. */
function postgresTls(params: URLSearchParams, host: string): ConnectionOptions | undefined {
  const mode = params.get('sslmode') ?? 'disable'
  if (mode === 'disable' || host.startsWith('/')) return undefined
  const file = (name: string): Buffer | undefined => {
    const path = params.get(name)
    return path === null || path === 'system' ? undefined : readFileSync(path)
  }
  const [ca, cert, key] = [file('sslrootcert'), file('sslcert'), file('sslkey')]
  return {
    ...serverName(host),
    ...(ca && { ca }),
    ...(cert && { cert }),
    ...(key && { key }),
    rejectUnauthorized: mode !== 'no-verify',
  }
}

const serverName = (host: string): ConnectionOptions => (isIP(host) ? { host } : { host, servername: host })

async function connected(socket: Socket): Promise<Socket> {
  await once(socket, 'connect')
  return socket.setNoDelay(true)
}

async function secured(socket: Socket, options: ConnectionOptions): Promise<Socket> {
  const secure = connectTls({ ...options, socket })
  await once(secure, 'secureConnect')
  return secure
}
