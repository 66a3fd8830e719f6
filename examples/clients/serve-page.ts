/**
 * Serves the page that follows `feature_approval` live (`npm run page`, beside a running server), at http://localhost:3000, an origin that
 * servers allow unless they are told otherwise. What the page imports comes out of `clients/feed` and npm packages.
 */
import { spawnSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createRequire } from 'node:module'
import { dirname, extname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'

const from = (path: string): string => fileURLToPath(new URL(path, import.meta.url))
const FEED = from('../../clients/feed')
const DIRECTORIES: readonly (readonly [prefix: string, directory: string])[] = [
  ['/@sluice/feed/', join(FEED, 'dist')],
  ['/graphql-ws/', dirname(createRequire(import.meta.url).resolve('graphql-ws'))],
  ['/', from('page')],
]
const TYPES: Readonly<Record<string, string>> = { '.html': 'text/html', '.css': 'text/css', '.js': 'text/javascript' }

// the package as npm would have it: JavaScript
const { status } = spawnSync(process.execPath, [from('../../node_modules/typescript/bin/tsc'), '-p', FEED], { stdio: 'inherit' })
if (status !== 0) process.exit(1)

const server = createServer(async ({ url = '/' }, response) => {
  const { pathname } = new URL(url, 'http://localhost')
  const [prefix, directory] = DIRECTORIES.find(([prefix]) => pathname.startsWith(prefix))!
  const path = join(directory, normalize(`/${pathname === '/' ? 'index.html' : pathname.slice(prefix.length)}`))
  const type = TYPES[extname(path)]
  const content = type === undefined ? undefined : await readFile(path).catch(() => undefined)
  if (content === undefined) return response.writeHead(404).end()
  return response.writeHead(200, { 'content-type': `${type}; charset=utf-8`, 'cache-control': 'no-cache' }).end(content)
})
server.listen(Number(process.env['PAGE_PORT'] ?? 3_000), 'localhost', () => {
  console.log(`http://localhost:${(server.address() as AddressInfo).port}`)
})
