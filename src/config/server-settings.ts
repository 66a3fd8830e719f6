/** The settings of the doors: addresses, proxies, origins, persisted operations, and how many may be connected. */
import { list, MANY, origin, overTls, path, proxy, text, url, whole, yesOrNo } from './shapes.ts'
import { optional, setting } from './setting.ts'
import type { Settings } from './setting.ts'
import type { ServerConfig } from './config-types.ts'

export const SERVER_SETTINGS: Settings<ServerConfig> = {
  host: setting('HOST', 'Address the server listens on.', '127.0.0.1', text),
  port: setting('PORT', 'Port the server listens on; 0 takes a free one.', '4000', whole(0, 65_535)),
  metricsPort: optional(
    'SLUICE_METRICS_PORT',
    'Port of `/metrics` and `/health`, on the same address (a worker has no other); unset = no metrics are served.',
    whole(0, 65_535),
  ),
  publicUrl: {
    ...optional('SLUICE_PUBLIC_URL', 'Where browsers reach the server, when a proxy stands before it.', url('http', 'https')),
    inProduction: overTls,
  },
  trustedProxies: setting(
    'SLUICE_TRUSTED_PROXIES',
    'Addresses and networks (CIDR) of the proxies before the server, comma-separated: they alone are believed what `x-forwarded-for` says.',
    '',
    list(proxy),
  ),
  allowedOrigins: setting(
    'CORS_ALLOWED_ORIGINS',
    "Origins whose pages may call the API, comma-separated; the server's own is always allowed.",
    'http://localhost:3000,http://internal-dashboard',
    list(origin),
  ),
  persistedOperations: setting(
    'SLUICE_PERSISTED_OPERATIONS',
    'Persisted operations: manifests (`.json`), documents (`.graphql`) or directories of them, comma-separated.',
    '',
    list(path),
  ),
  persistedOnly: setting('SLUICE_PERSISTED_ONLY', '`true`: nothing but persisted operations runs.', 'false', yesOrNo),
  socketsPerPrincipal: setting(
    'SLUICE_LIMIT_SOCKETS',
    'WebSockets of one principal that are open in one process.',
    '100',
    whole(1, MANY),
  ),
  unnamedSocketsPerAddress: setting(
    'SLUICE_LIMIT_UNNAMED_SOCKETS',
    'WebSockets of one address that have not said yet who they are, in one process.',
    '100',
    whole(1, MANY),
  ),
  streamsPerPrincipal: setting(
    'SLUICE_LIMIT_STREAMS',
    'Event streams (subscriptions over HTTP) of one principal that are open in one process.',
    '100',
    whole(1, MANY),
  ),
}
