/** Small definitions that the tests of this room start from. */
import type { AllowList } from '../../src/language/values.ts'
import { DEFAULT_ROLES } from '../../src/language/roles.ts'

export const allow: AllowList = { roles: new Set(DEFAULT_ROLES), handlers: new Set(['charge_card', 'send_mail']) }

/** A flow with these steps and nothing else. */
export const flowOf = (steps: Record<string, unknown>, more: Record<string, unknown> = {}): Record<string, unknown> => ({
  name: 'test',
  steps,
  ...more,
})

export const step = (more: Record<string, unknown> = {}): Record<string, unknown> => ({ type: 'transform', set: {}, ...more })
