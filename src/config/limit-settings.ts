/** The settings of how much anybody may ask. */
import { MANY, whole } from './shapes.ts'
import { setting } from './setting.ts'
import type { Settings } from './setting.ts'
import type { LimitsConfig } from './config-types.ts'

export const LIMIT_SETTINGS: Settings<LimitsConfig> = {
  apiPerMinute: setting('SLUICE_LIMIT_API_PER_MINUTE', 'API requests a minute, per principal.', '100', whole(1, MANY)),
  signInPerMinute: setting(
    'SLUICE_LIMIT_SIGN_IN_PER_MINUTE',
    'Attempts to sign in a minute, per address and account; ten times that per address.',
    '5',
    whole(1, MANY),
  ),
  flowWritesPerMinute: setting(
    'SLUICE_LIMIT_FLOW_WRITES_PER_MINUTE',
    'Flows and versions written a minute, per principal.',
    '10',
    whole(1, MANY),
  ),
  runningPerInitiator: setting(
    'SLUICE_LIMIT_RUNNING_PER_INITIATOR',
    'Executions that have not ended, per initiator.',
    '100',
    whole(1, MANY),
  ),
  childrenPerInitiator: setting(
    'SLUICE_LIMIT_CHILDREN_PER_INITIATOR',
    'Executions that `flow` steps started and that have not ended, per initiator.',
    '1000',
    whole(1, MANY),
  ),
  balancedTokens: setting(
    'SLUICE_DISPATCH_BALANCED_TOKENS',
    'What a hybrid pattern may cost that `dispatch` takes when it is `BALANCED`, in tokens.',
    '1000',
    whole(0, MANY),
  ),
}
