/** The roles of people (B4): an administrator may do everything, a user owns flows and executions, a viewer only reads. */
export const ROLES = ['ADMIN', 'USER', 'VIEWER'] as const
export type Role = (typeof ROLES)[number]

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
