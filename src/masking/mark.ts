/** What stands in the place of what was masked. */
export const MASK = '[masked]'
