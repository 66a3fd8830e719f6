/** The example page: what it refers to is there, as JavaScript that browsers take, with nothing of Node in it. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { parseSync } from 'oxc-parser'
import { beforeAll, expect, onTestFinished, test } from 'vitest'
import { parse, validate } from 'graphql'
import { executionFeedOf } from '../../clients/feed/feed.ts'
import { schema } from '../../src/api/schema.ts'
import { SETTINGS } from '../../src/config/settings.ts'

const SERVE = fileURLToPath(new URL('../../examples/clients/serve-page.ts', import.meta.url))
let url: string
let stop: () => void
beforeAll(async () => {
  const child = spawn(process.execPath, [SERVE], {
    env: { ...process.env, PAGE_PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  stop = () => child.kill()
  const [said] = (await once(child.stdout, 'data')) as [Buffer]
  url = String(said).trim()
}, 180_000)

test('the page and all that it imports are served, and each import has its file', async () => {
  onTestFinished(stop)
  const page = await (await fetch(url)).text()
  const { imports } = JSON.parse(/<script type="importmap">([^]*?)<\/script>/.exec(page)![1]!) as {
    imports: Record<string, string>
  }
  const seen = new Set<string>()
  async function visit(address: string): Promise<void> {
    if (seen.has(address)) return
    seen.add(address)
    const answer = await fetch(address)
    expect(answer.status, address).toBe(200)
    expect(answer.headers.get('content-type')).toBe('text/javascript; charset=utf-8')
    const { module, errors } = parseSync('file.js', await answer.text())
    expect(errors, address).toEqual([])
    for (const { moduleRequest } of module.staticImports) {
      const { value } = moduleRequest
      const target = value.startsWith('.') ? value : imports[value]
      expect(target, `${address} imports ${value}`).toBeDefined()
      await visit(new URL(target!, address).href)
    }
  }
  for (const [, file] of page.matchAll(/(?:src|href)="([^":]+)"/g)) {
    if (file!.endsWith('.js')) await visit(new URL(file!, url).href)
    else expect((await fetch(new URL(file!, url))).status, file).toBe(200)
  }
  expect(seen.size).toBeGreaterThan(8)
  for (const path of ['/nothing.js', '/..%2fserve-page.ts', '/@sluice/feed/..%2fpackage.json']) {
    expect((await fetch(new URL(path, url))).status, path).toBe(404)
  }
})

test('what it asks fits the schema, from an origin that servers allow by default', async () => {
  const script = await readFile(new URL('../../examples/clients/page/page.js', import.meta.url), 'utf8')
  const [, execution, events] = /^const execution = '(.*)'\nconst kind = .* events: '(.*)' \}\)$/m.exec(script)!
  const feed = executionFeedOf({ execution: execution!, events: events! })
  const documents = [feed.document, ...[...script.matchAll(/`(mutation [^`]*)`/g)].map(([, text]) => text!)]
  expect(documents).toHaveLength(3)
  for (const document of documents) expect(validate(schema, parse(document)).map(({ message }) => message)).toEqual([])
  // what is short is read
  expect(script.split('\n').filter((line) => line.trim() !== '').length).toBeLessThanOrEqual(50)
  expect(SETTINGS.server.allowedOrigins.fallback?.split(',')).toContain('http://localhost:3000')
})
