/** docs/http.md tells the truth: its examples are sent to a whole server, its numbers are those of the code. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { beforeAll, expect, test } from 'vitest'
import { FAULTS } from '../../src/errors.ts'
import { MAX_COST } from '../../src/server/admit.ts'
import { MAX_ANSWER_BYTES } from '../../src/server/follow.ts'
import { MAX_BATCH } from '../../src/server/graphql-over-http.ts'
import { CLOSE } from '../../src/server/guest.ts'
import { LIMITS, MAX_ERRORS } from '../../src/server/prepare.ts'
import { MAX_BODY_BYTES, MAX_LARGE_BODIES } from '../../src/server/read-request.ts'
import { MAX_MESSAGE_BYTES } from '../../src/server/handshake.ts'
import { dataDirectory, startServerProcess } from '../harness/server-process.ts'
import { testDatabase } from '../harness/test-database.ts'
import { RawSocket } from './test-server.ts'

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
const page = await readFile(new URL('../../docs/http.md', import.meta.url), 'utf8')

/** Fenced blocks with this info string, with the indentation of a list taken off. */
const blocks = (info: string): string[] =>
  [...page.matchAll(/^( *)```(.+)\n([^]*?)^ *```$/gm)]
    .filter(([, , found]) => found === info)
    .map(([, indent, , text]) => text!.replaceAll(new RegExp(`^${indent}`, 'gm'), ''))

const { env: database } = await testDatabase()
let url: string
let operations: string
const secrets = { password: '', token: '' }
const filled = (text: string) => text.replaceAll('<password>', secrets.password).replaceAll('<token>', secrets.token)

beforeAll(async () => {
  const directory = await dataDirectory()
  operations = join(directory, 'operations')
  await mkdir(operations)
  await writeFile(join(operations, 'who-am-i.graphql'), blocks('graphql persisted')[0]!)
  const server = await startServerProcess(directory, { ...database, SLUICE_PERSISTED_OPERATIONS: operations })
  url = server.url
  secrets.password = (await readFile(join(directory, 'admin-password'), 'utf8')).trim()
  const signedIn = await send(blocks('http').find((block) => block.includes('signIn('))!)
  secrets.token = /"accessToken":"([^"]+)"/.exec(signedIn.text)![1]!
}, 70_000)

/** `"..."` on the page stands for any text; what the page leaves out may be there. */
const wanted = (json: string): unknown =>
  JSON.parse(json, (_key, value: unknown) => (value === '...' ? (expect.any(String) as unknown) : value))

interface Message {
  readonly headers: Record<string, string>
  readonly body: string
}
function messageOf(lines: string): Message {
  const [head = '', ...rest] = lines.split('\n\n')
  const headers = head
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split(/: (.*)/, 2) as [string, string])
  return { headers: Object.fromEntries(headers), body: rest.join('\n\n').trim() }
}
const afterFirstLine = (text: string): [first: string, rest: string] => {
  const at = text.indexOf('\n')
  return [text.slice(0, at), text.slice(at)]
}

/** Sends a request of the page. */
async function send(block: string) {
  const [line, request] = afterFirstLine(filled(block))
  const [method, path] = line.split(' ')
  const { headers, body } = messageOf(request)
  const response = await fetch(`${url}${path}`, { method, headers, ...(body && { body }) })
  return { line, response, text: await response.text() }
}

test('each request on the page gets the answer on the page (B7, B8, B15, E4)', { timeout: 180_000 }, async () => {
  const [requests, answers] = [blocks('http'), blocks('http answer')]
  expect(requests.length).toBeGreaterThan(10)
  expect(answers).toHaveLength(requests.length)
  for (const [at, block] of requests.entries()) {
    const { line, text, response } = await send(block)
    const [status, answer] = afterFirstLine(answers[at]!)
    const expected = messageOf(answer)
    expect(response.status, `${line}: ${text}`).toBe(Number(status))
    expect(Object.fromEntries(response.headers), line).toMatchObject(expected.headers)
    if (expected.body !== '') expect(JSON.parse(text), line).toMatchObject(wanted(expected.body) as object)
    else expect(text, line).toBe('')
  }
})

test('the conversation over WebSocket goes as it stands on the page (B11)', async () => {
  const raw = new RawSocket(`${url.replace('http', 'ws')}/graphql`)
  await new Promise((resolve) => raw.socket.once('open', resolve))
  let received = 0
  for (const line of blocks('text websocket')[0]!.trim().split('\n')) {
    if (line.startsWith('> ')) raw.send(filled(line.slice(2)))
    else expect(await raw.at(received++), line).toMatchObject(wanted(line.slice(2)) as object)
  }
})

test(
  '`persisted` lists the operation of the page, says what is wrong with another, and fails for it',
  { timeout: 180_000 },
  async () => {
    await writeFile(join(operations, 'wrong.graphql'), '{ nothing }')
    const env = { SLUICE_PERSISTED_OPERATIONS: operations }
    const { status, stdout } = spawnSync(process.execPath, [MAIN, 'persisted'], { env, encoding: 'utf8' })
    const [good, wrong] = stdout.split(/(?<=\n)/)
    expect(good).toBe(blocks('text persisted')[0])
    expect(wrong).toMatch(/^sha256:[0-9a-f]{64} {2}\(refused\) {2}Cannot query field "nothing" on type "Query"\.\n$/)
    expect(status).toBe(1)
  },
)

test('the limits and codes on the page are those of the code', () => {
  const rows = [...page.matchAll(/^\| (.+?) +\| (.+?) +\| (.+?) +\|$/gm)].map(([, ...cells]) => cells)
  const limitOf = (name: string) => rows.find(([first]) => first!.startsWith(name))?.[1]
  const told = (value: number) => value.toLocaleString('en-US')
  expect(limitOf('size of the body')).toBe(`${told(MAX_BODY_BYTES)} bytes; a WebSocket message ${told(MAX_MESSAGE_BYTES)}`)
  expect(limitOf('bodies over 65,536')).toBe(told(MAX_LARGE_BODIES))
  expect(limitOf('operations in a batch')).toBe(told(MAX_BATCH))
  expect(limitOf('depth')).toBe(told(LIMITS.depth))
  expect(limitOf('aliases')).toBe(told(LIMITS.aliases))
  expect(limitOf('directives')).toBe(told(LIMITS.directives))
  expect(limitOf('tokens')).toBe(told(LIMITS.tokens))
  expect(limitOf('fields beside')).toBe(told(LIMITS.selections))
  expect(limitOf('cost')).toBe(told(MAX_COST))
  expect(limitOf('the answer')).toBe(`${told(MAX_ANSWER_BYTES)} bytes`)
  expect(page).toContain(`at most ${MAX_ERRORS} errors`)
  const codes = new Set(rows.map(([first]) => Number(first)))
  for (const code of Object.values(CLOSE)) expect([...codes]).toContain(code)
  const named = rows.flatMap(([, , refused]) => [...refused!.matchAll(/`([A-Z_]+)`/g)].map(([, code]) => code!))
  expect(named.filter((code) => !(code in FAULTS))).toEqual([])
})
