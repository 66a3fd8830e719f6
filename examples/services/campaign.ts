/**
 * The services that the flow `campaign` calls, as simple as can be. `node examples/services/campaign.ts` starts them on port 8090; Sluice
 * calls them with `SLUICE_OUTBOUND_ALLOW=localhost:8090`.
 */
import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'

/** What flows send; nothing here checks it. */
interface Sent {
  topic: string
  signals: string[]
  strategy: { angle: string }
  channels: string[]
  content: { pieces: { channel: string; text: string }[] }
  published: string[]
}

/** What each makes of what it is sent; of a GET that is its query. */
export const campaignServices: Readonly<Record<string, (sent: Sent) => object>> = {
  radar_scan: ({ topic }) => ({ signals: [`${topic} is on the rise`, `nobody explains ${topic}`] }),
  strategy_gen: ({ topic, signals }) => ({ angle: `explain ${topic}`, because: signals }),
  content_prod: ({ strategy, channels }) => ({ pieces: channels.map((channel) => ({ channel, text: strategy.angle })) }),
  quality_audit: ({ content }) => ({
    findings: content.pieces.flatMap(({ channel, text }) =>
      text.includes('miracle') ? [{ severity: 'critical', channel, about: 'a promise that nobody can keep' }] : [],
    ),
  }),
  publish: ({ content }) => ({ ids: content.pieces.map(({ channel }) => `${channel}-1`) }),
  learn: ({ published }) => ({ lesson: `${published.length} published` }),
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const server = createServer(async (request, response) => {
    const { pathname, searchParams } = new URL(request.url!, 'http://localhost')
    let body = ''
    for await (const part of request) body += String(part)
    const service = campaignServices[pathname.slice(1)]
    const sent: unknown = request.method === 'GET' ? Object.fromEntries(searchParams) : JSON.parse(body)
    response
      .writeHead(service ? 200 : 404, { 'content-type': 'application/json' })
      .end(JSON.stringify(service?.(sent as Sent) ?? {}))
  })
  server.listen(8090, 'localhost', () => process.stdout.write('campaign services on http://localhost:8090\n'))
}
