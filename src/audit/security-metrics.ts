/** What the detectors count for collectors (C8): events by kind, and alerts by how they ended. */
import { Counter } from 'prom-client'
import type { Registry } from 'prom-client'
import { ALERT_OUTCOMES } from './alert-webhook.ts'
import type { AlertOutcome } from './alert-webhook.ts'
import { ruleOf, SECURITY_KIND_NAMES } from './security-kinds.ts'
import type { SecurityKind } from './security-kinds.ts'

export interface SecurityMetrics {
  raised(kind: SecurityKind): void
  tried(outcome: AlertOutcome): void
}

export function createSecurityMetrics(registry: Registry): SecurityMetrics {
  const registers = [registry]
  const events = new Counter({
    ...{ name: 'sluice_security_events_total', help: 'Security events that this process raised.' },
    ...{ labelNames: ['kind', 'severity'], registers },
  })
  const alerts = new Counter({
    ...{ name: 'sluice_security_alerts_total', help: "Tries to tell the operator's webhook, by how they ended." },
    ...{ labelNames: ['outcome'], registers },
  })
  // a series that begins at 0 shows its first increase
  for (const kind of SECURITY_KIND_NAMES) events.inc({ kind, severity: ruleOf(kind).severity }, 0)
  for (const outcome of ALERT_OUTCOMES) alerts.inc({ outcome }, 0)
  return {
    raised: (kind) => events.inc({ kind, severity: ruleOf(kind).severity }),
    tried: (outcome) => alerts.inc({ outcome }),
  }
}
