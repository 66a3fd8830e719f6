/** When what was audited can be sealed: transactions of other tests on the same server may hold it up for a moment. */
import { expect, vi } from 'vitest'
import type { Database } from '../../src/database/database.ts'

const UNSETTLED = 'select id from sluice.audit_events where xid >= pg_snapshot_xmin(pg_current_snapshot())'

export const settled = (database: Database): Promise<void> =>
  vi.waitFor(async () => expect(await database.query(UNSETTLED)).toEqual([]), { timeout: 9_000 })
