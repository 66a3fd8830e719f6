/** The roles that agents may have unless the operator configures others (A2). */
export const DEFAULT_ROLES = [
  'ceo',
  'cto',
  'chro',
  'operations_head',
  'product_manager',
  'senior_architect',
  'uiux_engineer',
  'senior_developer',
  'test_lead',
] as const
