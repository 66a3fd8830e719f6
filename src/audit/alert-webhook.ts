/**
 * Tells the operator's webhook of security events (C8). What is to be told is a row, so a restart forgets nothing; whoever takes it
 * tells it, and takes it again later if nobody answered well: at least once, by one process at a time. Waits for nobody else, and
 * nobody waits for it.
 */
import type { Database } from '../database/database.ts'
import { encodeId } from '../ids.ts'
import type { Logger } from '../log.ts'
import type { LogFields } from '../log-fields.ts'
import { createLoop } from '../loop.ts'
import type { Loop } from '../loop.ts'
import type { GuardedClient } from '../outbound/guarded-client.ts'
import { SIGNATURE_HEADER, signAlert } from './alert-signature.ts'
import { auditTypeOf, subjectId } from './security-kinds.ts'
import type { SecurityKind, SubjectKind } from './security-kinds.ts'

const SWEEP_MS = 5_000
const AT_ONCE = 10
/** Its answer is not read, and what it is told is for itself alone. */
const BOUNDS = { timeoutMs: 10_000, maxBytes: 16_384, maxRedirects: 0 }
/** Before the next try, in seconds; the last of them again and again, until it has been tried for two days. */
const RETRY_AFTER_SECONDS = [15, 60, 300, 1_800, 3_600]
const MAX_ATTEMPTS = 52

export interface AlertWebhookOptions {
  readonly database: Pick<Database, 'query' | 'clock'>
  readonly url: string
  readonly secret: string
  readonly client: Pick<GuardedClient, 'request'>
  readonly log: Logger
  /** told how each try ended */
  readonly onTried?: (outcome: AlertOutcome) => void
}

export const ALERT_OUTCOMES = ['sent', 'failed', 'given_up'] as const
export type AlertOutcome = (typeof ALERT_OUTCOMES)[number]

export interface AlertWebhook extends Pick<Loop, 'start' | 'wake' | 'stop'> {
  /** Tells what is due, once each; how much there was. */
  runOnce(): Promise<number>
}

export function createAlertWebhook({ database, url, secret, client, log, onTried }: AlertWebhookOptions): AlertWebhook {
  async function runOnce(): Promise<number> {
    const due = await database.query<DueAlert>(TAKE)
    await Promise.all(due.map(tell))
    return due.length
  }

  async function tell(alert: DueAlert): Promise<void> {
    const failure = await post(alert)
    const lost = failure && alert.attempts >= MAX_ATTEMPTS
    if (!failure || lost) await database.query(DONE, [alert.id, !failure])
    onTried?.(!failure ? 'sent' : lost ? 'given_up' : 'failed')
    if (!failure) return
    const fields = { ...failure, audit: encodeId('auditEvent', alert.id), attempt: alert.attempts }
    if (lost) log.error(fields, 'an alert was given up')
    else log.warn(fields, 'an alert could not be sent, it is tried again')
  }

  /** Undefined when it was taken. */
  async function post(alert: DueAlert): Promise<Pick<LogFields, 'httpStatus' | 'code'> | undefined> {
    const body = JSON.stringify(alertOf(alert))
    const signature = signAlert(secret, body, Math.floor(database.clock.now() / 1_000))
    const headers = { 'content-type': 'application/json', [SIGNATURE_HEADER]: signature }
    const answer = await client.request({ method: 'POST', url, headers, body, ...BOUNDS })
    if (!answer.ok) return { code: answer.code }
    return answer.status >= 200 && answer.status < 300 ? undefined : { httpStatus: answer.status }
  }

  const loop = createLoop({
    name: 'telling the webhook',
    log,
    runOnce: async () => ((await runOnce()) === AT_ONCE ? 0 : SWEEP_MS),
  })
  return { runOnce, ...loop }
}

interface DueAlert {
  id: string
  kind: SecurityKind
  severity: string
  subjectKind: SubjectKind
  subject: string
  count: number
  firstAt: Date
  lastAt: Date
  attempts: number
}

/** Ids, never contents: addresses stay here too, whoever may see them asks for the event. */
function alertOf({ id, kind, severity, subjectKind, subject, count, firstAt, lastAt }: DueAlert) {
  return {
    id: encodeId('securityEvent', id),
    auditEvent: encodeId('auditEvent', id),
    type: auditTypeOf(kind),
    ...{ kind, severity },
    subject: {
      kind: subjectKind,
      id: subjectKind === 'ADDRESS' ? null : (subjectId({ kind: subjectKind, id: subject }) ?? null),
    },
    ...{ count, firstAt: firstAt.toISOString(), lastAt: lastAt.toISOString() },
  }
}

/** Whoever takes an alert has it until it would be due again, which is longer than a try may last. */
const TAKE = `
update sluice.security_events set alert_attempts = alert_attempts + 1,
  alert_due_at = clock_timestamp() + make_interval(secs =>
    (array[${RETRY_AFTER_SECONDS.join()}])[least(alert_attempts + 1, ${RETRY_AFTER_SECONDS.length})])
where id in (
  select id from sluice.security_events where alert_due_at <= clock_timestamp()
  order by alert_due_at limit ${AT_ONCE} for update skip locked)
returning id, kind, severity, subject_kind as "subjectKind", subject, count::float8 as count, first_at as "firstAt", last_at as "lastAt",
  alert_attempts as attempts`

const DONE = `
update sluice.security_events set alert_due_at = null, alerted_at = case when $2 then clock_timestamp() end where id = $1`
