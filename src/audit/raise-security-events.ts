/**
 * From counts to security events. Processes add their counts up in the database, so that a threshold is crossed by all of them
 * together; a unique key for subject, kind and window lets one of them raise the event, and the others add to its count.
 */
import type { EntityManager } from '@mikro-orm/postgresql'
import { queryIn } from '../database/database.ts'
import type { SecurityConfig } from '../config/config-types.ts'
import { newUuid } from '../ids.ts'
import type { AuditEntry } from './audit-entry.ts'
import { recordAudit } from './record-audit.ts'
import { auditTypeOf, EVERYBODY, ruleOf, subjectId, thresholdOf } from './security-kinds.ts'
import type { SecurityKind, SubjectKind } from './security-kinds.ts'
import type { Tally } from './security-tallies.ts'

/** Of one kind in one window; those beyond are one event about EVERYBODY: raising events cannot be used to flood. */
const MAX_EVENTS = 100

/** What was counted of one subject in one window by all processes. */
interface Count {
  kind: SecurityKind
  subjectKind: SubjectKind
  subject: string
  windowAt: Date
  count: number
  firstAt: Date
  lastAt: Date
}

export interface RaisedEvent extends Count {
  /** of the event, and of its audit event */
  id: string
}

/** What the audit event of a security event says. */
export type SecurityFacts = Pick<AuditEntry, 'id' | 'type' | 'severity' | 'success' | 'metadata' | 'flowId' | 'ip'>

export interface RaiseOptions {
  limits: SecurityConfig
  /** whether a webhook is to be told */
  alerts: boolean
  /** an entry of the audit log by the server itself */
  entry(facts: SecurityFacts): AuditEntry
}

/** Adds the tallies up and raises what is due, in `em`'s transaction; answers the new events. */
export async function raiseSecurityEvents(
  em: EntityManager,
  tallies: readonly Tally[],
  options: RaiseOptions,
): Promise<RaisedEvent[]> {
  const counts = await addUp(em, tallies)
  const over = counts.filter(({ kind, subjectKind, count }) => count >= thresholdOf(kind, { kind: subjectKind }, options.limits))
  const unusual = await unlessUsual(em, over, options.limits)
  if (unusual.length === 0) return []
  return insertEvents(em, await withinBounds(em, unusual), options)
}

const COUNT = `kind, subject_kind as "subjectKind", subject, window_at as "windowAt", count::float8 as count, first_at as "firstAt",
  last_at as "lastAt"`

/** Rows are locked in one order everywhere, so that processes wait for each other and never for ever. */
const ADD_UP = `
insert into sluice.security_counts as c (kind, subject_kind, subject, window_at, count, first_at, last_at)
select * from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::bigint[], $6::timestamptz[], $7::timestamptz[])
order by 1, 2, 3, 4
on conflict (kind, subject_kind, subject, window_at) do update set
  count = c.count + excluded.count, first_at = least(c.first_at, excluded.first_at), last_at = greatest(c.last_at, excluded.last_at)
returning ${COUNT}`

const addUp = (em: EntityManager, tallies: readonly Tally[]): Promise<Count[]> =>
  queryIn<Count>(em, ADD_UP, columnsOf(tallies.map(countOf)))

const countOf = ({ kind, subject, windowAt, count, firstAt, lastAt }: Tally): Count => ({
  ...{ kind, subjectKind: subject.kind, subject: subject.id, count },
  ...{ windowAt: new Date(windowAt), firstAt: new Date(firstAt), lastAt: new Date(lastAt) },
})

const BUSIEST = `
select s.number, coalesce(max(c.count), 0)::float8 as count
from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[]) with ordinality as s (kind, subject_kind, subject, window_at, number)
left join sluice.security_counts c on c.kind = s.kind and c.subject_kind = s.subject_kind and c.subject = s.subject
  and c.window_at < s.window_at and c.window_at >= s.window_at - interval '1 day'
group by s.number`

/** Without those that do about as much as they did in the day before. */
async function unlessUsual(em: EntityManager, counts: readonly Count[], limits: SecurityConfig): Promise<Count[]> {
  const always = counts.filter(({ kind }) => !ruleOf(kind).timesUsual)
  const compared = counts.filter(({ kind }) => ruleOf(kind).timesUsual)
  if (compared.length === 0) return always
  const busiest = await queryIn<{ number: string; count: number }>(em, BUSIEST, columnsOf(compared).slice(0, 4))
  const usual = new Map(busiest.map(({ number, count }) => [Number(number) - 1, count]))
  const unusual = compared.filter(({ kind, count }, at) => count >= (usual.get(at) ?? 0) * ruleOf(kind).timesUsual!(limits))
  return [...always, ...unusual]
}

/** As many new ones as there is room for; the others together. */
async function withinBounds(em: EntityManager, counts: readonly Count[]): Promise<Count[]> {
  const known = await queryIn<Count>(
    em,
    `select ${COUNT} from sluice.security_events where kind = any($1) and window_at = any($2)`,
    [[...new Set(counts.map(({ kind }) => kind))], [...new Set(counts.map(({ windowAt }) => windowAt))]],
  )
  const raised = new Set(known.map(keyOf))
  const room = new Map<string, number>()
  const roomOf = (count: Count): number => room.get(windowOf(count)) ?? MAX_EVENTS
  for (const event of known.filter(isOne)) room.set(windowOf(event), roomOf(event) - 1)
  const within = new Map<string, Count>()
  for (const count of counts) {
    const isNew = isOne(count) && !raised.has(keyOf(count))
    const fits = !isNew || roomOf(count) > 0
    if (isNew && fits) room.set(windowOf(count), roomOf(count) - 1)
    const shown = fits ? count : { ...count, subjectKind: EVERYBODY.kind, subject: EVERYBODY.id }
    within.set(keyOf(shown), together(within.get(keyOf(shown)), shown))
  }
  return [...within.values()].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))
}

/** What was counted of EVERYBODY has those in it already that come to it for want of room. */
function together(one: Count | undefined, other: Count): Count {
  if (!one) return other
  const count = ruleOf(one.kind).together ? Math.max(one.count, other.count) : one.count + other.count
  const earlier = one.firstAt < other.firstAt ? one : other
  const later = one.lastAt > other.lastAt ? one : other
  return { ...other, count, firstAt: earlier.firstAt, lastAt: later.lastAt }
}

const isOne = ({ subjectKind }: Count): boolean => subjectKind !== EVERYBODY.kind
const windowOf = ({ kind, windowAt }: Count): string => `${kind} ${windowAt.getTime()}`
const keyOf = (count: Count): string => `${windowOf(count)} ${count.subjectKind} ${count.subject}`

const RAISE = `
insert into sluice.security_events as e
  (kind, subject_kind, subject, window_at, count, first_at, last_at, id, severity, alert_due_at)
select kind, subject_kind, subject, window_at, count, first_at, last_at, id, severity, case when $10 then clock_timestamp() end
from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::bigint[], $6::timestamptz[], $7::timestamptz[], $8::uuid[],
  $9::text[]) with ordinality as n (kind, subject_kind, subject, window_at, count, first_at, last_at, id, severity, number)
order by number
on conflict (kind, window_at, subject_kind, subject) do update set
  count = greatest(e.count, excluded.count), last_at = greatest(e.last_at, excluded.last_at)
returning id`

async function insertEvents(em: EntityManager, counts: readonly Count[], options: RaiseOptions): Promise<RaisedEvent[]> {
  const events = counts.map((count) => ({ ...count, id: newUuid() }))
  const rows = await queryIn<{ id: string }>(em, RAISE, [
    ...columnsOf(events),
    events.map(({ id }) => id),
    events.map(({ kind }) => ruleOf(kind).severity),
    options.alerts,
  ])
  const stored = new Set(rows.map(({ id }) => id))
  const raised = events.filter(({ id }) => stored.has(id))
  await recordAudit(em, ...raised.map((event) => options.entry(factsOf(event))))
  return raised
}

function factsOf({ id, kind, subjectKind, subject, count, firstAt, lastAt }: RaisedEvent): SecurityFacts {
  const name = subjectKind === 'ADDRESS' ? undefined : subjectId({ kind: subjectKind, id: subject })
  const times = { count, firstAt: firstAt.toISOString(), lastAt: lastAt.toISOString() }
  return {
    ...{ id, type: auditTypeOf(kind), severity: ruleOf(kind).severity, success: false },
    ...(subjectKind === 'FLOW' && { flowId: subject }),
    ...(subjectKind === 'ADDRESS' && { ip: subject }),
    metadata: { kind, subjectKind, ...(name !== undefined && { subject: name }), ...times },
  }
}

/** In the order of COUNT. */
const columnsOf = (counts: readonly Count[]): readonly unknown[][] => [
  counts.map(({ kind }) => kind),
  counts.map(({ subjectKind }) => subjectKind),
  counts.map(({ subject }) => subject),
  counts.map(({ windowAt }) => windowAt),
  counts.map(({ count }) => count),
  counts.map(({ firstAt }) => firstAt),
  counts.map(({ lastAt }) => lastAt),
]
