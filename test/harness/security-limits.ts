/** When tests want security events: never, as by default, or from few on. */
import { loadConfig } from '../../src/config/config.ts'
import type { SecurityConfig } from '../../src/config/config-types.ts'

export const DEFAULTS: SecurityConfig = loadConfig({}, { mode: 'start' }).security

/** Nothing raises one. */
export const NO_SECURITY_EVENTS: SecurityConfig = {
  ...{
    windowMs: 600_000,
    signInFailures: 0,
    wrongTokens: 0,
    refusals: 0,
    limitsReached: 0,
    unusualRequests: 0,
    unusualStarts: 0,
  },
  ...{ unusualFactor: 1, rowsRead: 0, unmasked: 0, failedSteps: 0, failedExecutions: 0, handlerCrashes: 0 },
}
