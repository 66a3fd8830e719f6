/** What the log has of trouble that goes on. */
import { expect, test } from 'vitest'
import { createLog } from '../src/log.ts'
import { createTrouble } from '../src/trouble.ts'

interface Line {
  msg: string
  level: number
  count?: number
  waitedMs?: number
  err?: { sqlState?: string; remedy?: string }
}

function setUp() {
  const lines: Line[] = []
  let now = 1_000
  const log = createLog('info', { write: (line) => void lines.push(JSON.parse(line) as Line) })
  const trouble = createTrouble({ log, message: 'it failed', over: 'it works again', monotonic: () => now })
  return { trouble, pass: (ms: number) => (now += ms), take: () => lines.splice(0) }
}

const full = Object.assign(new Error('no space for Mrs. Miller'), { code: '53100' })

test('trouble that goes on is told once a minute, with how often it was met, and when it is over', () => {
  const { trouble, pass, take } = setUp()
  for (let times = 0; times < 61; times++) {
    trouble.failed(full)
    pass(1_000)
  }
  expect(take()).toMatchObject([
    { msg: 'it failed', level: 40, err: { sqlState: '53100', remedy: expect.stringContaining('free some space') } },
    { msg: 'it failed', count: 60 },
  ])
  expect(trouble.lastsMs).toBe(61_000)
  trouble.worked()
  expect(take()).toMatchObject([{ msg: 'it works again', waitedMs: 61_000 }])
  trouble.worked()
  expect([trouble.lastsMs, take()]).toEqual([0, []])
})

test('another kind of trouble is told at once; one that comes and goes is not told each time', () => {
  const { trouble, pass, take } = setUp()
  trouble.failed(full)
  trouble.failed(Object.assign(new Error(), { code: 'ECONNREFUSED' }))
  expect(take()).toHaveLength(2)
  trouble.worked()
  expect(take()).toHaveLength(1)
  for (let times = 0; times < 50; times++) {
    pass(100)
    trouble.failed(full)
    trouble.worked()
  }
  expect(take()).toEqual([])
})

test('whatever it is that fails, it is told of without its contents (C6)', () => {
  const { trouble, take } = setUp()
  for (const thrown of [full, undefined, 'Miller', null, new TypeError('no function')]) trouble.failed(thrown)
  expect(take().length).toBeGreaterThan(2)
  trouble.failed(full)
  expect(JSON.stringify(take())).not.toContain('Miller')
})
