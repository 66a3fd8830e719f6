/** From how many on what happens is a security event, and who is told of it. */
import { optional, secret, setting } from './setting.ts'
import type { Settings } from './setting.ts'
import { MANY, overTls, strong, text, url, whole } from './shapes.ts'
import type { SecurityConfig } from './config-types.ts'

export const SECURITY_SETTINGS: Settings<SecurityConfig> = {
  windowMs: setting(
    'SLUICE_SECURITY_WINDOW_MS',
    'In which the following are counted, ms; from that many in one window, a security event is raised (0 = never).',
    '600000',
    whole(10_000, 86_400_000),
  ),
  signInFailures: setting(
    'SLUICE_SECURITY_SIGN_IN_FAILURES',
    'Failed attempts to sign in, from one address or on one account.',
    '20',
    whole(0, MANY),
  ),
  wrongTokens: setting(
    'SLUICE_SECURITY_WRONG_TOKENS',
    'Tokens and keys that are not valid, from one address.',
    '50',
    whole(0, MANY),
  ),
  refusals: setting('SLUICE_SECURITY_REFUSALS', 'Other refusals, of one principal or address.', '50', whole(0, MANY)),
  limitsReached: setting(
    'SLUICE_SECURITY_LIMITS_REACHED',
    'Requests beyond a limit, of one principal or address.',
    '300',
    whole(0, MANY),
  ),
  unusualRequests: setting(
    'SLUICE_SECURITY_UNUSUAL_REQUESTS',
    'Requests of one principal, if that is also many times as many as usual.',
    '500',
    whole(0, MANY),
  ),
  unusualStarts: setting(
    'SLUICE_SECURITY_UNUSUAL_STARTS',
    'Executions that one principal starts, if that is also many times as many as usual.',
    '500',
    whole(0, MANY),
  ),
  unusualFactor: setting(
    'SLUICE_SECURITY_UNUSUAL_FACTOR',
    'Unusual is so many times as many as in the busiest window of the day before.',
    '5',
    whole(1, 1_000),
  ),
  rowsRead: setting('SLUICE_SECURITY_ROWS_READ', 'Things that one principal reads from lists.', '20000', whole(0, MANY)),
  unmasked: setting(
    'SLUICE_SECURITY_UNMASKED',
    'Executions of which one principal reads what is marked as sensitive.',
    '50',
    whole(0, MANY),
  ),
  failedSteps: setting('SLUICE_SECURITY_FAILED_STEPS', 'Attempts of steps of one flow that fail.', '100', whole(0, MANY)),
  failedExecutions: setting(
    'SLUICE_SECURITY_FAILED_EXECUTIONS',
    'Executions of one flow that fail or do not end in time.',
    '20',
    whole(0, MANY),
  ),
  handlerCrashes: setting(
    'SLUICE_SECURITY_HANDLER_CRASHES',
    'Handlers in steps of one flow whose process ends while they run, or that take more than they may.',
    '10',
    whole(0, MANY),
  ),
  webhookUrl: {
    ...optional(
      'SLUICE_ALERT_WEBHOOK_URL',
      'Who is told of each security event, by POST, signed with `SLUICE_ALERT_WEBHOOK_SECRET`; unset = nobody is.',
      url('http', 'https'),
    ),
    secret: true,
    inProduction: overTls,
  },
  webhookSecret: secret(
    'SLUICE_ALERT_WEBHOOK_SECRET',
    'Signs what the webhook is told (HMAC-SHA256), at least 32 bytes made by chance; the receiver has it too.',
    text,
    strong,
  ),
}
