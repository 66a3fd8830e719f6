/** What stands in the log, and what cannot get into it: contents, secrets, forged lines. */
import { parse } from 'graphql'
import { expect, test } from 'vitest'
import fc from 'fast-check'
import type { LogFields, Logger } from '../src/log.ts'
import { createLog } from '../src/log.ts'
import { testDatabase } from './harness/test-database.ts'

const SECRET = 'correct-horse-battery'
const { database } = await testDatabase()

function recording(): { log: Logger; written: () => string; lines: () => Record<string, unknown>[] } {
  let output = ''
  const log = createLog('trace', { write: (text) => void (output += text) })
  const lines = (): Record<string, unknown>[] =>
    output
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
  return { log, written: () => output, lines }
}

/** As code that the compiler does not see would call it. */
const unchecked = (fields: object): LogFields => fields

async function thrownBy(work: () => unknown): Promise<unknown> {
  try {
    await work()
  } catch (error) {
    return error
  }
  throw new Error('it did not throw')
}

test('ids, codes and counts are printed, with the room that a child speaks for (C6)', () => {
  const { log, lines } = recording()
  log
    .child({ room: 'engine' })
    .child({ requestId: 'r-1' })
    .warn({ executionId: 'exec_7', path: 'poll[3].items[17]', attempt: 2 }, 'late')
  expect(lines()).toEqual([
    {
      level: 40,
      time: expect.any(Number),
      room: 'engine',
      requestId: 'r-1',
      executionId: 'exec_7',
      path: 'poll[3].items[17]',
      attempt: 2,
      msg: 'late',
    },
  ])
})

test('what is not on the list never prints: neither its value nor its name, in a line or in a child (C6)', () => {
  const { log, written, lines } = recording()
  const user = { id: 'user_1', password: SECRET, toJSON: () => SECRET, toString: () => SECRET }
  log.info(unchecked({ user, [SECRET]: 1, input: { card: SECRET }, headers: { authorization: SECRET } }), 'a request')
  log.child(unchecked({ user, req: { body: SECRET } })).info('a line of a child')
  log.info(
    unchecked({ executionId: user, type: [SECRET, { SECRET }], attempt: user, applied: [user], problems: [user] }),
    'objects for words',
  )
  log.info(unchecked({ level: 60, time: SECRET, msg: SECRET, toJSON: () => SECRET, constructor: SECRET }), 'names of its own')
  log.info(unchecked(JSON.parse(`{"__proto__":{"executionId":"${SECRET}"}}`)), 'a prototype')
  expect(written()).not.toContain(SECRET)
  expect(lines().map((line) => line['msg'])).toEqual([
    'a request',
    'a line of a child',
    'objects for words',
    'names of its own',
    'a prototype',
  ])
  expect(lines()[0]).toMatchObject({ unlisted: 4 })
  expect(lines()[3]).toMatchObject({ level: 30, unlisted: 5 })
})

test('a word is a word: text that has room for more is not printed (C6)', () => {
  const { log, lines } = recording()
  for (const executionId of [`my ${SECRET}`, 'a\nb', 'x'.repeat(201), '', '{"a":1}', 'é']) log.info({ executionId }, 'one')
  expect(lines().every((line) => line['executionId'] === '[no code]')).toBe(true)
})

const FORGERIES = [
  'a\n{"level":60,"time":1,"msg":"forged"}',
  'a\r\n{"level":60,"msg":"forged"}\r\n',
  'a\u2028{"msg":"forged"}\u2029b\u0085c',
  '\u001b[2K\u001b[1A\u001b[31mforged\u001b[0m',
  '\u009b2K\u009b1Aforged',
  '\u001b]0;title\u0007\u001b]8;;http://evil.example\u001b\\click\u001b]8;;\u001b\\',
  '\u0000\u0008\u0008\u0008\u007f',
  'safe\u202egnp.exe\u2066\u2069\u200b',
  '","level":60,"msg":"forged',
  '\\u000a\\n',
  '\ud800 lone',
]
/** What ends a line, moves the cursor or hides text, in a terminal or an editor. */
const OBEYED = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069\u200b]/

/** Everywhere that text can stand. */
function logEverywhere(log: Logger, text: string): void {
  log.info(text)
  log.info({ path: text, output: text, problems: [text], stack: text, applied: [text], type: text }, text)
  log.child({ room: text }).info('child')
  log.error(
    { err: Object.assign(new Error(text), { name: text, code: text, stack: `Error: ${text}\n    at ${text} (/a.ts:1:1)` }) },
    'failed',
  )
  log.error({ err: new Error('outer', { cause: text }) }, 'failed')
  log.error({ err: text }, 'failed')
}

test.each(FORGERIES)('%j cannot forge a line nor move a cursor (C6)', (text) => {
  const { log, written, lines } = recording()
  logEverywhere(log, text)
  expect(lines()).toHaveLength(6)
  expect(lines().filter(({ level }) => level === 60)).toEqual([])
  expect(written()).not.toMatch(OBEYED)
})

test('nor can any other text (C6)', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
      const { log, written, lines } = recording()
      logEverywhere(log, text)
      return lines().length === 6 && !OBEYED.test(written())
    }),
  )
})

test('errors of PostgreSQL print SQLSTATE and names of the schema, never values (C6)', async () => {
  const failing = [
    ['22P02', 'select $1::uuid', [SECRET]],
    ['22P02', 'select $1::json', [`{"a": ${SECRET}`]],
    ['23514', `insert into sluice.auth_changes (subject) values ($1)`, [SECRET]],
    [
      '23505',
      `insert into sluice.workers (id, expires_at) select gen_random_uuid(), now() union all (select '0190a000-0000-7000-8000-000000000001', now() from generate_series(1, 2)) returning $1::text`,
      [SECRET],
    ],
    ['42601', `select '${SECRET}' from`, []],
  ] as const
  for (const [expected, statement, values] of failing) {
    const { log, written, lines } = recording()
    const error = await thrownBy(() => database.query(statement, [...values]))
    log.error({ err: new Error('outer', { cause: error }) }, 'failed')
    expect(written()).not.toContain(SECRET)
    const [{ sqlState }] = (lines()[0] as { err: { causes: [{ sqlState: string }] } }).err.causes
    expect(sqlState).toBe(expected)
  }
  const { log, lines } = recording()
  log.error({ err: await thrownBy(() => database.query(failing[2][1], [...failing[2][2]])) }, 'failed')
  expect(lines()[0]).toMatchObject({
    err: { sqlState: '23514', table: 'auth_changes', constraint: 'auth_changes_subject_shape' },
  })
})

test('errors that quote what they were given print their name and their place only (C6)', async () => {
  const quoting: (() => unknown)[] = [
    () => JSON.parse(`{"a": ${SECRET}`),
    () => new RegExp(`(${SECRET}`),
    () => parse(`{ ${SECRET} `),
    () => {
      throw Object.assign(new Error('plain'), { query: SECRET, response: { body: SECRET }, detail: SECRET, errors: [SECRET] })
    },
    () => {
      throw { message: SECRET }
    },
    () => {
      throw SECRET
    },
  ]
  for (const work of quoting) {
    const { log, written } = recording()
    log.error({ err: await thrownBy(work) }, 'failed')
    expect(written()).not.toContain(SECRET)
  }
})

test('an error of ours keeps its text, its frames and its causes (C6)', () => {
  const { log, lines } = recording()
  log.error(
    {
      err: new TypeError('no such worker', { cause: Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' }) }),
    },
    'failed',
  )
  expect(lines()[0]).toMatchObject({
    err: {
      ...{ name: 'TypeError', message: 'no such worker', stack: expect.stringContaining('log.test.ts') },
      causes: [{ name: 'Error', code: 'ECONNREFUSED', message: 'connect ECONNREFUSED' }],
    },
  })
})

test('an error without end and a getter that throws stop nothing (C6)', () => {
  const { log, lines } = recording()
  const circle: { cause?: unknown } & Error = new Error('round')
  circle.cause = circle
  log.error({ err: circle }, 'failed')
  const hostile = new Proxy(new Error('x'), {
    get() {
      throw new Error('no')
    },
  })
  log.error({ err: hostile }, 'failed')
  expect(lines()).toHaveLength(2)
  expect(lines()[1]).toMatchObject({ err: '[unprintable]' })
})

/** Put together here: a scanner of secrets must not take them for real ones. */
const SHAPED = [
  ['eyJhbGciOiJIUzI1NiJ9', '.eyJzdWIiOiIxIn0.c2lnbmF0dXJl'],
  ['slk_', '0123456789abcdefghij'],
  ['Bearer ', 'abcdefgh12345678'],
  ['postgres://sluice:', `${SECRET}@db.example.com/sluice`],
  ['password=', SECRET],
  ['"api_key": ', `"${SECRET}"`],
  ['sk-proj-', '0123456789abcdefghij'],
  ['ghp_', '0123456789abcdefghijABCDEFGHIJ012345'],
  ['-----BEGIN PRIVATE', ` KEY-----\nMIIE${SECRET}\n-----END PRIVATE KEY-----`],
  ['ada.lovelace', '@example.com'],
].map((parts) => parts.join(''))

test.each(SHAPED)('%j is cut from text by its shape (C6)', (text) => {
  const { log, written } = recording()
  log.warn({ output: `before ${text} after`, err: new Error(`before ${text} after`) }, `before ${text} after`)
  const kept = text
    .replaceAll(/bearer|basic|password|api_key|postgres|sluice|db\.example\.com|PRIVATE KEY/gi, '')
    .split(/[^\w.-]+/)
  for (const part of kept.filter((piece) => piece.length > 6)) expect(written()).not.toContain(part)
  expect(written().match(/before/g)).toHaveLength(3)
})

test('text of any length is cut in no time (C6)', () => {
  const { log, written } = recording()
  const began = performance.now()
  for (const piece of ['a', 'eyJ', 'password=', '://', 'a@a.', '-----BEGIN ', 'sk-', ' \n', 'Bearer '])
    log.info(piece.repeat(1_000_000 / piece.length))
  expect(performance.now() - began).toBeLessThan(1_000)
  expect(written().length).toBeLessThan(9 * 15_000)
})
