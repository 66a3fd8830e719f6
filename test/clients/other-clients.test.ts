/** Clients that others wrote, as docs/clients.md shows them: cut off at any moment, they go on where they were. */
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import type { Following, FollowFrame } from '../../examples/clients/frames.ts'
import { followWithApollo } from '../../examples/clients/with-apollo.ts'
import { followWithGraphqlSse } from '../../examples/clients/with-graphql-sse.ts'
import { followWithGraphqlWs } from '../../examples/clients/with-graphql-ws.ts'
import { followWithUrql } from '../../examples/clients/with-urql.ts'
import { startCutProxy } from '../harness/cut-proxy.ts'
import { approve, historyOf, runningServer } from './running-server.ts'

const { url, session, start } = await runningServer()
const CLIENTS: readonly { name: string; followWith: (following: Following) => Promise<void> }[] = [
  { name: 'graphql-ws', followWith: followWithGraphqlWs },
  { name: 'Apollo Client', followWith: followWithApollo },
  { name: 'urql', followWith: followWithUrql },
  { name: 'graphql-sse', followWith: followWithGraphqlSse },
]

test.each(CLIENTS)(
  '$name follows an execution to its end, cut off on the way and refused by a server that restarts, without a hole or a double',
  async ({ followWith }) => {
    const proxy = await startCutProxy(url)
    const id = await start('feature_approval', { feature_name: 'Live dashboards', estimated_cost: 2_000_000 })
    const history = await historyOf(session, id)
    const frames: FollowFrame[] = []
    const tokens: string[] = []
    const following: Following = {
      ...{ url: `${proxy.url}/graphql`, id },
      async token() {
        const token = await session.token(false)
        tokens.push(token)
        return token
      },
      show(frame) {
        frames.push(frame)
        // what happens while it is away is what it must not miss
        if (frame.__typename === 'FeedSnapshot') {
          proxy.cut()
          void approve(session, id)
        } else if (frames.length === 2) proxy.refuse(1)
      },
    }
    await followWith(following)
    const seqs = frames.flatMap(({ events = [] }) => events.map(({ seq }) => seq))
    const all = await historyOf(session, id)
    expect(seqs).toEqual(all.slice(history.length).map(({ seq }) => seq))
    const kinds = frames.map(({ __typename }) => __typename).filter((kind) => kind !== 'FeedDelta')
    expect([kinds, frames.at(-1)?.reason]).toEqual([['FeedSnapshot', 'FeedEnd'], 'FINISHED'])
    expect(tokens.length).toBeGreaterThan(1)
  },
)

const PAGE = new URL('../../docs/clients.md', import.meta.url)

/** As a page shows a file: with the package's name where the file has its path. */
const shown = (source: string): string => source.replaceAll(/'(?:\.\.\/)+clients\/feed\/feed\.ts'/g, "'@sluice/feed'")

test('docs/clients.md shows these examples as they are; `vitest run test/clients -u` writes them anew', async () => {
  const page = await readFile(PAGE, 'utf8')
  const written = page.replaceAll(/^```ts (examples\/\S+)\n[^]*?^```$/gm, (_, file: string) => {
    const source = readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8')
    return `\`\`\`ts ${file}\n${shown(source)}\`\`\``
  })
  await expect(written).toMatchFileSnapshot(fileURLToPath(PAGE))
})

test('what the page imports from the package is there', async () => {
  const page = await readFile(PAGE, 'utf8')
  const imports = [...page.matchAll(/^import \{ (.*) \} from '@sluice\/feed(?:\/(\w+))?'$/gm)]
  expect(imports.length).toBeGreaterThan(5)
  for (const [line, names, file = 'feed'] of imports) {
    const module = (await import(new URL(`../../clients/feed/${file}.ts`, import.meta.url).href)) as object
    expect(Object.keys(module), line).toEqual(expect.arrayContaining(names!.split(', ')))
  }
  const named = [...page.matchAll(/^\| `(\w+)` +\|/gm)].map(([, name]) => name)
  expect(Object.keys(await import('../../clients/feed/feed.ts'))).toEqual(expect.arrayContaining(named))
})
