/** `priority` of a definition: that of its executions, unless whoever starts one says another. */
import { z } from 'zod'

/** -100 to 100; the higher is claimed first. */
export const MAX_PRIORITY = 100

export const priority = z
  .int()
  .min(-MAX_PRIORITY)
  .max(MAX_PRIORITY)
  .describe('Of its executions, unless the caller says another: -100 to 100, 0 unless given; higher ones are taken first.')
