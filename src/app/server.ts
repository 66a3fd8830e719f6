/** The doors of the process, joined to the use cases behind them. */
import { createCalls } from '../api/context.ts'
import { schema } from '../api/schema.ts'
import { auditEntry } from '../audit/record-audit.ts'
import { addressKey } from '../fleet/address-key.ts'
import type { Feeds } from '../live/feeds.ts'
import type { Services } from '../operations/call.ts'
import { createReceiveWebhook } from '../operations/triggers/receive-webhook.ts'
import { readPersistedOperations } from '../server/persisted-operations.ts'
import { startServer } from '../server/server.ts'
import type { AppAudit } from './audit.ts'
import { waitsFor } from './database.ts'
import { drainFeeds, feedOpeners } from './feeds.ts'
import type { Ground } from './ground.ts'

export interface AppServerOptions {
  services: Services
  feeds: Feeds<string>
  audit: AppAudit
}

/** Its URL. Closed with the stack, after everybody who follows something was told. */
export async function openServer(ground: Ground, { services, feeds, audit }: AppServerOptions): Promise<string> {
  const { config, log, development, database, bus, registry, createLimiter, stack } = ground
  const { authenticate, renewPrincipals, authChanges, secretKeys } = services.identity
  const { auditKeys, keyUses } = audit
  const { refusals } = audit.security
  const server = await startServer({
    ...{ config: config.server, production: !development, schema, authenticate, renewPrincipals, registry, log, createLimiter },
    persisted: { documents: readPersistedOperations(config.server.persistedOperations), only: config.server.persistedOnly },
    onAuthChange: authChanges.onAuthChange,
    calls: createCalls(services, feedOpeners(feeds, services), log),
    requestsPerMinute: config.limits.apiPerMinute,
    noteRefusal({ principal, origin }, code) {
      const entry = auditEntry({ ...(principal && { principal }), origin, services }, { ...REFUSED, errorCode: code })
      void refusals.record(principal?.id ?? addressKey(origin.ip), entry)
    },
    noteUse: ({ principal, origin }) => principal && keyUses.note(principal, addressKey(origin.ip)),
    waitsFor: () => waitsFor(database),
    receiveWebhook: createReceiveWebhook({ database, bus, keys: secretKeys, auditKeys, refusals }),
  })
  stack.defer(async () => {
    await drainFeeds(feeds)
    await server.close()
  })
  return server.url
}

const REFUSED = { type: 'request.refused', severity: 'NOTICE', success: false } as const
