/** The settings of `sluice watch`. */
import { text, url } from './shapes.ts'
import { optional, secret } from './setting.ts'
import type { Settings } from './setting.ts'
import type { WatchConfig } from './config-types.ts'

export const WATCH_SETTINGS: Settings<WatchConfig> = {
  url: optional('SLUICE_URL', 'The server that `sluice watch` asks; unset = this machine, at `PORT`.', url('http', 'https')),
  token: secret(
    'SLUICE_TOKEN',
    "What `sluice watch` signs in with, an access token or an API key; unset = the administrator's password in the data directory.",
    text,
    () => [],
  ),
}
