/** What a drill plans, finds and shows, without doing one: whatever damage there is, one check names it. */
import { PassThrough } from 'node:stream'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { redisAddress } from '../../clients/agent/redis-address.ts'
import { executionFeed, executionsFeed, initialState } from '../../clients/feed/feed.ts'
import { checkAll } from '../../src/drill/check.ts'
import type { Facts } from '../../src/drill/check.ts'
import { tellBegin } from '../../src/drill/draw/news.ts'
import { drawReport } from '../../src/drill/draw/report.ts'
import { timeline } from '../../src/drill/draw/timeline.ts'
import { FAULT_NAMES } from '../../src/drill/faults/all.ts'
import { CALLING_PATHS, DRILL_POOL, drillFlow, expectedOutput, RECORDED_PATHS } from '../../src/drill/flow.ts'
import { DEFAULT_ORDER, planDrill } from '../../src/drill/plan.ts'
import type { Site } from '../../src/drill/site.ts'
import { redisThroughProxy, renamed } from '../../src/drill/redis-way.ts'
import { throughputAround } from '../../src/drill/draw/throughput.ts'
import { throughProxy } from '../../src/drill/upstream.ts'
import { compile } from '../../src/language/compile.ts'
import { validateDefinition } from '../../src/language/validate.ts'
import { widthOf } from '../../src/watch/draw/paint.ts'

const SITE: Site = {
  ...{ kind: 'OWN', environment: {}, databaseUrl: '', databases: {}, redisUrl: 'redis://localhost' },
  close: async () => undefined,
}
const NOTHING = {
  roles: new Set<string>(),
  handlers: new Set<string>(),
  sources: new Set<string>(),
  pools: new Set([DRILL_POOL]),
}

/** Two executions of which all is well. */
function goodFacts() {
  const ids = ['exec_a', 'exec_b']
  const events = RECORDED_PATHS.map((path, at) => ({ seq: at + 1, type: 'step.succeeded', path, attempt: 1 }))
  const stored = ids.map((id, number) => ({
    ...{ id, status: 'SUCCEEDED', seq: events.length, events: [...events], paths: [...RECORDED_PATHS], ends: 1 },
    output: expectedOutput(number) as object,
  }))
  const executions = stored.map(({ id, status }) => ({ id, status, finishedAt: '2026-01-01T00:00:00.000Z' }))
  const seen = { ...initialState(executionFeed), status: 'ended', view: { ...executionFeed.empty, events } } as const
  const facts = {
    started: ids.map((id, number) => ({ id, number, tries: 1 })),
    unanswered: 0,
    history: { executions: new Map(stored.map((one) => [one.id, one])), repairs: 0, late: 0 },
    calls: new Map(ids.flatMap((id) => CALLING_PATHS.map((path) => [`${id}/${path}`, 1] as const))),
    followed: { all: { ...initialState(executionsFeed), view: { executions } }, each: new Map([['exec_a', seen]]), resumed: 0 },
    audit: { intact: true, checked: 4 },
    faults: [{ name: 'kill-worker', atMs: 1_000, hit: 3, backMs: 0, takenUpMs: 900, gotOnMs: 1_000, last: ['exec_b'] }],
    ...{ boundMs: 5_000, lost: [] as string[] },
  }
  return { facts, first: stored[0]!, asFacts: () => facts as unknown as Facts }
}
type Good = ReturnType<typeof goodFacts>

test('when all is well every check holds', () => {
  expect(checkAll(goodFacts().asFacts()).filter(({ held }) => !held)).toEqual([])
})

const DAMAGES: Record<string, { damage(good: Good): unknown; finds: string; says: RegExp }> = {
  'an execution that is gone': {
    damage: ({ facts }) => facts.history.executions.delete('exec_a'),
    ...{ finds: 'nothing-lost', says: /exec_a is not there/ },
  },
  'one that has failed': {
    damage: ({ first }) => (first.status = 'FAILED'),
    ...{ finds: 'nothing-lost', says: /exec_a is FAILED/ },
  },
  'another output': {
    damage: ({ first }) => (first.output = { sum: 7 }),
    ...{ finds: 'nothing-lost', says: /another output/ },
  },
  'a start that started twice': {
    damage: ({ facts, first }) => facts.history.executions.set('exec_c', { ...first, id: 'exec_c' }),
    ...{ finds: 'started-once', says: /exec_c was started/ },
  },
  'a start that nobody answered': {
    damage: ({ facts }) => (facts.unanswered = 1),
    ...{ finds: 'started-once', says: /never answered: 1/ },
  },
  'a step that is not recorded': {
    damage: ({ first }) => first.paths.pop(),
    ...{ finds: 'recorded-once', says: /is not recorded/ },
  },
  'a step that ended twice': {
    damage: ({ first }) => first.events.push({ ...first.events[0]!, seq: ++first.seq }),
    ...{ finds: 'recorded-once', says: /exec_a\/begin ended twice/ },
  },
  'a step without an effect': {
    damage: ({ facts }) => facts.calls.delete('exec_b/left'),
    ...{ finds: 'effects', says: /exec_b\/left is recorded and never called/ },
  },
  'an effect of nobody': {
    damage: ({ facts }) => facts.calls.set('exec_z/left', 1),
    ...{ finds: 'effects', says: /exec_z\/left called/ },
  },
  'a hole in a history': {
    damage: ({ first }) => first.events.splice(2, 1),
    ...{ finds: 'history-whole', says: /exec_a has no event 3/ },
  },
  'a history without its end': {
    damage: ({ first }) => first.events.pop(),
    ...{ finds: 'history-whole', says: /counts/ },
  },
  'a feed that missed an event': {
    damage: ({ facts }) =>
      facts.followed.each.set('exec_a', { ...facts.followed.each.get('exec_a')!, view: executionFeed.empty } as never),
    ...{ finds: 'feeds-whole', says: /another history/ },
  },
  'a feed that never ended': {
    damage: ({ facts }) => facts.followed.each.set('exec_b', { ...facts.followed.each.get('exec_a')!, status: 'live' } as never),
    ...{ finds: 'feeds-whole', says: /has not ended/ },
  },
  'a feed of all that missed one': {
    damage: ({ facts }) => facts.followed.all.view.executions.pop(),
    ...{ finds: 'feeds-whole', says: /exec_b as not there/ },
  },
  'a broken chain': {
    damage: ({ facts }) => Object.assign(facts.audit, { intact: false, broken: { id: null, why: 'a seal is missing' } }),
    ...{ finds: 'audit-intact', says: /a seal is missing/ },
  },
  'an end that the audit log has twice': {
    damage: ({ first }) => (first.ends = 2),
    ...{ finds: 'audit-intact', says: /exec_a ended 2 times/ },
  },
  'an invariant that was mended': {
    damage: ({ facts }) => (facts.history.repairs = 1),
    ...{ finds: 'invariants', says: /mend 1/ },
  },
  'a recovery that took too long': {
    damage: ({ facts }) => (facts.faults[0]!.takenUpMs = 5_001),
    ...{ finds: 'recovery', says: /kill-worker: 5.0 s, a step further after 1.0 s, at last exec_b/ },
  },
  'a recovery that never came': {
    damage: ({ facts }) => (facts.faults[0]!.gotOnMs = Number.POSITIVE_INFINITY),
    ...{ finds: 'recovery', says: /kill-worker: 0.9 s, a step further never/ },
  },
  'a process that ended by itself': {
    damage: ({ facts }) => facts.lost.push('worker-1 ended by itself: SIGSEGV'),
    ...{ finds: 'processes', says: /SIGSEGV/ },
  },
}

test.each(Object.entries(DAMAGES))('a drill finds %s', (_name, { damage, finds, says }) => {
  const good = goodFacts()
  damage(good)
  const found = checkAll(good.asFacts()).find(({ name }) => name === finds)!
  expect(found.held).toBe(false)
  expect(found.wrong.join('\n')).toMatch(says)
})

test('the flow of drills is valid, and its steps are those that are looked for', async () => {
  const { issues } = validateDefinition(drillFlow, NOTHING)
  expect(issues).toEqual([])
  const compiled = compile(drillFlow, NOTHING)
  if (!('program' in compiled)) throw new Error('it does not compile')
  expect(RECORDED_PATHS.filter((path) => !path.includes('[')).toSorted()).toEqual(Object.keys(drillFlow.steps).toSorted())
})

test('what is possible is planned one after the other, what is not is left out with a reason', () => {
  const { faults, skipped, rate, boundMs } = planDrill(DEFAULT_ORDER, SITE, 3_000)
  expect(faults.map(({ name }) => name)).toEqual(FAULT_NAMES)
  expect(faults.every(({ atMs }, index) => atMs > (faults[index - 1]?.atMs ?? 0) && atMs < DEFAULT_ORDER.seconds * 1_000)).toBe(
    true,
  )
  expect([skipped, rate, boundMs]).toEqual([[], 20, 5_000])

  const without = planDrill({ ...DEFAULT_ORDER, only: ['drop-redis', 'kill-api'] }, { ...SITE, redisUrl: undefined }, 3_000)
  expect(without.faults.map(({ name }) => name)).toEqual(['kill-api'])
  expect(without.skipped).toEqual([{ name: 'drop-redis', why: expect.stringContaining('redis-server') as string }])
})

test('a fleet is told what is done to the drill alone', () => {
  const { faults } = planDrill({ ...DEFAULT_ORDER, only: ['restart-postgres', 'drop-redis'] }, { ...SITE, kind: 'FLEET' }, 3_000)
  expect(faults.map(({ what }) => what)).toEqual([
    'Redis is away from the drill for two seconds',
    'PostgreSQL ends every connection of the drill, and takes none for two seconds',
  ])
})

const ME = 'me:p%40ss'

test('a URL leads through the proxy, without what TLS needs behind it', () => {
  expect(throughProxy(`postgres://${ME}@db.example.com/flows?sslmode=verify-full&sslrootcert=/ca.pem&options=-csearch`, 7)).toBe(
    `postgres://${ME}@127.0.0.1:7/flows?options=-csearch`,
  )
  expect(throughProxy(`postgres://${ME}@%2Frun%2Fpostgres:5432/flows`, 7)).toBe(`postgres://${ME}@127.0.0.1:7/flows`)
  for (const place of ['rediss://:secret@redis.example.com:6380/2', 'rediss+sentinel://:secret@one,two/mymaster/2'])
    expect(redisThroughProxy(redisAddress(place), 7)).toBe('redis://:secret@127.0.0.1:7/2')
})

test('what nodes of a cluster call each other is renamed, wherever a network cuts it', async () => {
  const names = new Map([
    ['$9\r\n127.0.0.1\r\n:7001\r\n', '$9\r\n127.0.0.1\r\n:40001\r\n'],
    [' 127.0.0.1:7001\r\n', ' 127.0.0.1:40001\r\n'],
  ])
  const pieces = fc.array(fc.constantFrom(...names.keys(), '$9\r\n127', ' 127.0.0.1:70011\r\n', '-MOVED 1', ' ', '\r\n', 'é'))
  const cuts = fc.array(fc.nat(20), { maxLength: 20 })
  await fc.assert(
    fc.asyncProperty(pieces, cuts, async (said, lengths) => {
      const bytes = Buffer.from(`${said.join('')}+OK\r\n`)
      const node = new PassThrough()
      const out = renamed(node, names)
      let at = 0
      for (const length of lengths) node.write(bytes.subarray(at, (at += length)))
      node.end(bytes.subarray(at))
      let wanted = String(bytes)
      for (const [name, other] of names) wanted = wanted.replaceAll(name, other)
      expect(String(Buffer.concat(await out.toArray()))).toBe(wanted)
    }),
  )
})

test('throughput is told before a fault, in its worst second, and after it', () => {
  const steady = Array.from({ length: 1_000 }, (_, index) => index * 10)
  const calls = steady.filter((at) => at < 4_000 || at >= 6_000)
  expect(throughputAround(calls, { atMs: 4_000, gotOnMs: 2_000 }, 8_000)).toEqual({ before: 100, worst: 0, after: 100 })
  expect(throughputAround([], { atMs: 0, gotOnMs: Number.POSITIVE_INFINITY }, 0)).toEqual({ before: 0, worst: 0, after: 0 })
})

test('a timeline is as wide and as high as it may be, whatever it shows', () => {
  const times = fc.array(fc.integer({ min: -1_000, max: 200_000 }), { maxLength: 200 })
  const shown = fc.record({
    ...{ calls: times, columns: fc.integer({ min: 0, max: 200 }), rows: fc.integer({ min: 1, max: 9 }) },
    faults: fc.array(fc.record({ atMs: fc.nat(200_000), gotOnMs: fc.option(fc.nat(100_000), { nil: undefined }) }), {
      maxLength: 9,
    }),
    ...{ lengthMs: fc.integer({ min: 1, max: 100_000 }), untilMs: fc.nat(200_000) },
  })
  fc.assert(
    fc.property(shown, (options) => {
      const lines = timeline(options).map((pieces) =>
        pieces.map((piece) => (typeof piece === 'string' ? piece : piece.text)).join(''),
      )
      expect(lines).toHaveLength(options.rows + 1)
      for (const line of lines) expect(widthOf(line)).toBeLessThanOrEqual(Math.max(17, options.columns))
    }),
  )
})

test('a report says what was done, how long it took, and what did not hold', () => {
  const { facts, asFacts } = goodFacts()
  facts.history.executions.delete('exec_b')
  const calls = Array.from({ length: 400 }, (_, index) => index * 10).filter((at) => at < 1_000 || at > 1_900)
  const report = { ...asFacts(), checks: checkAll(asFacts()), calls, lengthMs: 4_000, crowd: 0.5 }
  const skipped = [{ name: 'drop-redis', why: 'REDIS_URL is not set' }]
  const lines = drawReport({ ...report, skipped }, { columns: 100, colour: false })
  expect(`\n${lines.join('\n')}\n`).toMatchInlineSnapshot(`
    "
    Calls a second, as the service saw them that the steps call
      116 ┤█  █  █  █   █  █  █                          █  █   █  █  █   █  █  █   █  █  █   █  █  █
          ┤███████████████████████                      ████████████████████████████████████████████████
          ┤███████████████████████                     █████████████████████████████████████████████████
          ┤███████████████████████                     █████████████████████████████████████████████████
        0 ┤████████████████████████                    █████████████████████████████████████████████████
                                  1───────────────────────

        fault                   at   hit     back  taken up    got on  calls/s before  worst  after
     1  kill-worker          1.0 s     3             900 ms     1.0 s             100      9    100
        hit: executions in the way. back: until there was again what was gone. taken up, got on:
        until the last of them was worked on again, and had got a step further.
      ∅ drop-redis       left out: REDIS_URL is not set

      ✘ no execution is lost                  2 acknowledged, 1 ended as expected
          exec_b is not there
      ✔ each start started once               0 were asked for again, 0 started twice
      ✔ no step is recorded twice or missing  9 of 9 steps recorded
      ✘ each step had its effect              5 steps called 10 times: 0 ran again after a fault
          exec_b/left called and belongs to no execution
          exec_b/right called and belongs to no execution
          exec_b/each.items[0] called and belongs to no execution
          exec_b/each.items[1] called and belongs to no execution
          exec_b/each.items[2] called and belongs to no execution
      ✔ every history is whole                9 events, numbered without a gap
      ✔ feeds show what PostgreSQL has        1 feed of all, 1 of one execution each, cut off 0 times
      ✔ the audit chain is intact             4 entries verified, one for each end
      ✔ nothing had to be mended              0 late outcomes came in, and changed nothing
      ✔ whoever was hit is taken up in time   after 0.9 s at most, 5.0 s are allowed
      ✔ no process ended by itself            0 did

    2 things did not hold.
    Do it again with --logs DIRECTORY, to see what the processes said.
    "
  `)
  expect(drawReport({ ...report, skipped }, { columns: 40, colour: false }).every((line) => widthOf(line) <= 40)).toBe(true)
})

test('a report says when the machine was too busy to tell, and where to look for what did not hold', () => {
  const { facts, asFacts } = goodFacts()
  const last = (logs?: string) => {
    const report = { ...asFacts(), checks: checkAll(asFacts()), calls: [], lengthMs: 4_000, skipped: [], crowd: 7.25, logs }
    return drawReport(report, { columns: 100, colour: false }).slice(-3)
  }
  expect(last()).toEqual(['', 'Everything held.', expect.stringMatching(/^This machine had 7.3 processes to run/) as string])
  facts.history.executions.delete('exec_b')
  expect(last()[2]).toBe('Do it again with --logs DIRECTORY, to see what the processes said.')
  expect(last('/var/log/drill')[2]).toBe('What the processes said is in /var/log/drill.')
})

test('what begins is said before it does, without a password', () => {
  const fleet = { DATABASE_URL: `postgres://${ME}@db.example.com:6432/flows?sslmode=verify-full` }
  const site = { ...SITE, kind: 'FLEET', databases: fleet, redisUrl: 'rediss://:secret@redis.example.com' } as const
  expect(tellBegin(site, planDrill({ ...DEFAULT_ORDER, only: ['kill-api'] }, site, 10_000), DEFAULT_ORDER)).toEqual([
    'A drill beside the fleet of db.example.com:6432/flows and redis.example.com.',
    'An API and 3 workers of its own (lease 10.0 s, dispatch by postgres), 1200 executions in 60 s or longer.',
    'What is done to them: kill-api.',
  ])
})
