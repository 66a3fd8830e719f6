/** The doors of the process, joined to the use cases behind them. */
import { createCalls } from '../api/context.ts'
import { schema } from '../api/schema.ts'
import { auditEntry } from '../audit/record-audit.ts'
import { addressKey } from '../fleet/address-key.ts'
import type { Feeds } from '../live/feeds.ts'
import type { Services } from '../operations/call.ts'
import { createReceiveWebhook } from '../operations/triggers/receive-webhook.ts'
import { readPersistedOperations } from '../server/persisted-operations.ts'
import type { ApiPort } from '../server/api-port.ts'
import { startServer } from '../server/server.ts'
import type { AppAudit } from './audit.ts'
import { drainFeeds, feedOpeners } from './feeds.ts'
import type { Ground } from './ground.ts'

export interface AppServerOptions {
  at: ApiPort
  services: Services
  feeds: Feeds<string>
  audit: AppAudit
}

/** Closed with the stack, after everybody who follows something was told. */
export function openServer(ground: Ground, { at, services, feeds, audit }: AppServerOptions): void {
  const { config, log, development, database, bus, registry, createLimiter, health, stack } = ground
  const { authenticate, renewPrincipals, authChanges, secretKeys } = services.identity
  const { auditKeys, keyUses } = audit
  const { refusals } = audit.security
  const server = startServer({
    at,
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
    askReadiness: health.ask,
    isLeaving: () => health.isDraining,
    receiveWebhook: createReceiveWebhook({ database, bus, keys: secretKeys, auditKeys, refusals }),
  })
  stack.defer(async () => {
    server.shut()
    await drainFeeds(feeds, config.shutdown.drainMs)
    await server.close()
  })
}

const REFUSED = { type: 'request.refused', severity: 'NOTICE', success: false } as const
