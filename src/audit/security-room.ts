/** What watches, joined: refusals tell the detectors, these tell the metrics and the operator's webhook. */
import type { Registry } from 'prom-client'
import type { Database } from '../database/database.ts'
import type { SecurityConfig } from '../config/config-types.ts'
import type { Logger } from '../log.ts'
import { createGuardedClient } from '../outbound/guarded-client.ts'
import { createAlertWebhook } from './alert-webhook.ts'
import { Refusals } from './refusals.ts'
import { createSecurityMetrics } from './security-metrics.ts'
import type { SecurityMetrics } from './security-metrics.ts'
import { createSecurityWatch } from './security-watch.ts'
import type { SecurityWatch, SecurityWatchOptions } from './security-watch.ts'

export interface SecurityRoomOptions extends Pick<SecurityWatchOptions, 'keys' | 'limits' | 'addressOf'> {
  readonly database: Database
  readonly registry: Registry
  readonly log: Logger
}

export interface SecurityRoom {
  readonly watch: SecurityWatch
  readonly refusals: Refusals
  start(): void
  /** Writes what was counted last; an alert that is not sent yet is sent by the next start. */
  stop(): Promise<void>
}

export function createSecurityRoom({ registry, ...options }: SecurityRoomOptions): SecurityRoom {
  const { database, limits, log } = options
  const metrics = createSecurityMetrics(registry)
  const alerts = openAlerts(database, limits, metrics, log)
  const watch = createSecurityWatch({
    ...options,
    onRaised({ kind }) {
      metrics.raised(kind)
      alerts?.wake()
    },
  })
  const refusals = new Refusals({ database, log, onRefusal: watch.refused })
  return {
    watch,
    refusals,
    start() {
      for (const loop of [refusals, watch, alerts]) loop?.start()
    },
    async stop() {
      await refusals.stop()
      await watch.stop()
      await alerts?.stop()
    },
  }
}

/** Undefined when nobody is to be told. */
function openAlerts(
  database: Database,
  { webhookUrl: url, webhookSecret: secret }: SecurityConfig,
  metrics: SecurityMetrics,
  log: Logger,
) {
  if (url === undefined || secret === undefined) return undefined
  // the operator's own: it may stand where steps may not reach, and its circuit is not that of steps
  const client = createGuardedClient({ allow: [hostOf(url)], ports: [] })
  const webhook = createAlertWebhook({ database, url, secret, client, log, onTried: metrics.tried })
  return {
    ...webhook,
    async stop() {
      // what is under way is not waited for: it is told again
      await Promise.all([webhook.stop(), client.close()])
    },
  }
}

/** With its port, also where that is the usual one. */
function hostOf(url: string): string {
  const { protocol, hostname, port } = new URL(url)
  return `${hostname}:${port || (protocol === 'https:' ? 443 : 80)}`
}
