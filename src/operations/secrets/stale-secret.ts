/** What is answered to whoever does not know the secret as it is. */
import { problem } from '../../errors.ts'
import type { Problem } from '../../errors.ts'

/** `currentVersion` null: there is no secret of this name. */
export const staleSecret = (currentVersion: number | null): Problem =>
  currentVersion === null
    ? problem('NOT_FOUND', { path: ['name'] })
    : problem('STALE_VERSION', { path: ['expectedVersion'], currentVersion })
