/** GraphiQL at `GET /graphql`: the page and its assets, out of npm packages. Nothing comes from elsewhere, no script is inline. */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { EXAMPLES } from './examples.ts'

const ASSETS = '/graphql/assets/'
const JAVASCRIPT = 'text/javascript; charset=utf-8'
const compress = promisify(gzip)

const PAGE = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>Sluice GraphiQL</title>
    <link rel="icon" href="data:," />
    <link rel="stylesheet" href="${ASSETS}graphiql.css" />
    <link rel="stylesheet" href="${ASSETS}page.css" />
    <script src="${ASSETS}graphiql.js" defer></script>
    <script src="${ASSETS}page.js" type="module"></script>
  </head>
  <body>
    <div id="root">Loading …</div>
    <noscript>GraphiQL needs JavaScript.</noscript>
  </body>
</html>
`

/** GraphiQL's module is 9 MB: it is loaded when somebody first asks for it. */
const bundle = () => import('@graphql-yoga/render-graphiql/graphiql')
const ours = (name: string) => readFile(new URL(name, import.meta.url), 'utf8')
const GRAPHQL_WS = dirname(createRequire(import.meta.url).resolve('graphql-ws'))

/** Where each asset comes from; undefined = there is none. */
async function readAsset(name: string): Promise<{ type: string; text: string } | undefined> {
  switch (name) {
    case 'graphiql.js':
      return { type: JAVASCRIPT, text: (await bundle()).js }
    case 'graphiql.css':
      return { type: 'text/css; charset=utf-8', text: (await bundle()).css }
    case 'editor-worker.js':
      return { type: JAVASCRIPT, text: (await bundle()).editorWorkerService }
    case 'json-worker.js':
      return { type: JAVASCRIPT, text: (await bundle()).jsonWorker }
    case 'graphql-worker.js':
      return { type: JAVASCRIPT, text: (await bundle()).graphqlWorker }
    case 'page.js':
    case 'one-operation.js':
      return { type: JAVASCRIPT, text: await ours(name) }
    case 'page.css':
      return { type: 'text/css; charset=utf-8', text: await ours('page.css') }
    case 'examples.json':
      return { type: 'application/json; charset=utf-8', text: JSON.stringify(EXAMPLES) }
    default:
      // graphql-ws's client, and the one file with a hash in its name that it imports
      if (name !== 'client.js' && !/^common-[\w-]+\.js$/.test(name)) return undefined
      return { type: JAVASCRIPT, text: await readFile(join(GRAPHQL_WS, name), 'utf8') }
  }
}

interface Asset {
  readonly type: string
  readonly etag: string
  readonly compressed: Buffer
}

export interface Graphiql {
  answerPage(response: ServerResponse): void
  /** false = the path is no asset's */
  answerAsset(path: string, request: IncomingMessage, response: ServerResponse): Promise<boolean>
}

export function createGraphiql(): Graphiql {
  const assets = new Map<string, Promise<Asset | undefined>>()

  async function prepareAsset(name: string): Promise<Asset | undefined> {
    const asset = await readAsset(name).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined
      throw error
    })
    if (!asset) return undefined
    const etag = `"${createHash('sha256').update(asset.text).digest('base64url')}"`
    return { type: asset.type, etag, compressed: await compress(asset.text) }
  }

  /** Compressed once; what does not exist is not remembered. */
  async function assetOf(name: string): Promise<Asset | undefined> {
    const preparing = assets.get(name) ?? prepareAsset(name)
    assets.set(name, preparing)
    let asset: Asset | undefined
    try {
      asset = await preparing
    } finally {
      if (!asset) assets.delete(name)
    }
    return asset
  }

  return {
    answerPage(response) {
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-cache' }).end(PAGE)
    },

    async answerAsset(path, request, response) {
      if (!path.startsWith(ASSETS)) return false
      const asset = await assetOf(path.slice(ASSETS.length))
      if (!asset) return false
      const headers = { etag: asset.etag, 'cache-control': 'no-cache' }
      if (request.headers['if-none-match'] === asset.etag) response.writeHead(304, headers).end()
      else response.writeHead(200, { ...headers, 'content-type': asset.type, 'content-encoding': 'gzip' }).end(asset.compressed)
      return true
    },
  }
}
