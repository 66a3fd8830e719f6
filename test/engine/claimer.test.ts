/** How a worker comes by executions, where there are more of them than it can ever hold. */
import { expect, test } from 'vitest'
import { createClaimer } from '../../src/engine/claimer.ts'
import { createWorkLoop } from '../../src/engine/work-loop.ts'
import { newUuid } from '../../src/ids.ts'
import { createLog } from '../../src/log.ts'
import { testDatabase } from '../harness/test-database.ts'

const { database } = await testDatabase()
const log = createLog('silent')

test('a worker that always finds more, and ends it as fast, looks at what is due in between (A10)', async () => {
  const began = performance.now()
  let claims = 0
  const endless = async <Row>(_text: string, params: readonly unknown[] = []): Promise<Row[]> => {
    claims += 1
    await new Promise((resolve) => setTimeout(resolve, 5))
    // in the end there is an end, so that this test has one too
    const found = performance.now() - began < 5_000 ? Number(params[1]) : 0
    return Array.from({ length: found }, () => ({ id: newUuid(), initiator_id: newUuid() }) as Row)
  }
  const workerId = newUuid()
  const claimer = createClaimer({
    ...{ database: { ...database, query: endless }, workerId, pools: ['default'], maxHeld: 500, log },
    ...{ held: () => 0, mayClaim: () => true, hold: () => Promise.resolve(), claimed: () => undefined },
  })
  let fired = 0
  const overdue = { fire: async () => void (fired += 1), fireElsewhere: () => Promise.resolve() }
  const overdueAlways = async <Row>(text: string, params?: readonly unknown[]): Promise<Row[]> =>
    (await database.query<Row>(text, params)).map((row) => ({ ...row, overdue: true, claimable: true }))
  const loop = createWorkLoop({
    ...{ database: { ...database, query: overdueAlways }, workerId, pools: ['default'], dispatch: { lookEveryMs: 0 }, log },
    ...{ claimer, steps: { look: () => Promise.resolve(false) }, overdue, hasRoom: () => undefined },
  })
  loop.lookForReady()
  await loop.runOnce()
  expect(claims).toBeGreaterThan(1)
  expect(performance.now() - began).toBeLessThan(4_000)
  expect(fired).toBe(1)
})
