/** The orders of lists: those that an index stands behind. */
import type { ORDERS } from '../operations/page.ts'
import { builder } from './builder.ts'

const VALUES = {
  NEWEST_FIRST: { description: 'The last one made comes first.' },
  OLDEST_FIRST: { description: 'The first one made comes first.' },
} satisfies Record<(typeof ORDERS)[number], { description: string }>

/** `orderBy: t.arg({ type: orderType('FlowOrder', 'flows'), ... })`. */
export const orderType = (name: string, of: string) =>
  builder.enumType(name, { description: `How ${of} are listed.`, values: VALUES })
