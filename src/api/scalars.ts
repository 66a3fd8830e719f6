/** The scalars: DateTime, Duration and JSON, strict on the way in, one form on the way out. */
import { GraphQLError, Kind } from 'graphql'
import type { ValueNode } from 'graphql'
import { builder } from './builder.ts'

const bad = (message: string) => new GraphQLError(message, { extensions: { code: 'BAD_REQUEST' } })

// RFC 3339, section 5.6; a leap second is not representable in a Date and is refused
const DATE_TIME = /^(\d{4})-(\d{2})-(\d{2})T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$/

/** A Date, or undefined when the text is no RFC 3339 date-time or names a day that does not exist. */
export function parseDateTime(text: string): Date | undefined {
  const match = DATE_TIME.exec(text)
  if (!match) return undefined
  const [year, month, day] = [Number(match[1]), Number(match[2]), Number(match[3])]
  const lastDay = new Date(Date.UTC(2000 + (year % 400), month, 0)).getUTCDate()
  if (month < 1 || month > 12 || day < 1 || day > lastDay) return undefined
  return new Date(text)
}

builder.scalarType('DateTime', {
  description:
    'A point in time: RFC 3339, in UTC with milliseconds on the way out (`2026-11-22T01:14:00.000Z`), any offset on the way in.',
  specifiedByURL: 'https://scalars.graphql.org/andimarek/date-time.html',
  serialize: (value) => new Date(value).toISOString(),
  parseValue: (value) => {
    const date = typeof value === 'string' ? parseDateTime(value) : undefined
    if (!date) throw bad('DateTime: expected an RFC 3339 date-time such as "2026-11-22T01:14:00.000Z".')
    return date
  },
})

// no years and months: how long they are depends on when they begin
const DURATION = /^P(?!$)(?:(\d{1,6})W)?(?:(\d{1,7})D)?(?:T(?!$)(?:(\d{1,8})H)?(?:(\d{1,9})M)?(?:(\d{1,10})(?:\.(\d{1,3}))?S)?)?$/
const [SECOND, MINUTE, HOUR, DAY] = [1_000, 60_000, 3_600_000, 86_400_000]

/** Milliseconds, or undefined when the text is no ISO 8601 duration of weeks, days, hours, minutes and seconds. */
export function parseDuration(text: string): number | undefined {
  const match = DURATION.exec(text)
  if (!match) return undefined
  const [weeks, days, hours, minutes, seconds] = match.slice(1, 6).map((part) => Number(part ?? 0)) as [
    number,
    number,
    number,
    number,
    number,
  ]
  return (weeks * 7 + days) * DAY + hours * HOUR + minutes * MINUTE + seconds * SECOND + Number((match[6] ?? '').padEnd(3, '0'))
}

/** `formatDuration(90_500)` -> `PT1M30.5S` */
export function formatDuration(ms: number): string {
  if (!Number.isFinite(ms) || ms < 0) throw new TypeError(`not a duration: ${ms}`)
  const whole = Math.round(ms)
  const part = (count: number, unit: string) => (count ? `${count}${unit}` : '')
  const time =
    part(Math.floor((whole % DAY) / HOUR), 'H') +
    part(Math.floor((whole % HOUR) / MINUTE), 'M') +
    part((whole % MINUTE) / SECOND, 'S')
  return `P${part(Math.floor(whole / DAY), 'D')}${time && `T${time}`}`.replace(/^P$/, 'PT0S')
}

builder.scalarType('Duration', {
  description: 'A length of time: ISO 8601 with weeks, days, hours, minutes and seconds (`PT1M30.5S`); no years or months.',
  specifiedByURL: 'https://www.rfc-editor.org/rfc/rfc3339#appendix-A',
  serialize: formatDuration,
  parseValue: (value) => {
    const ms = typeof value === 'string' ? parseDuration(value) : undefined
    if (ms === undefined) throw bad('Duration: expected an ISO 8601 duration such as "PT1M30S".')
    return ms
  },
})

/** Deeper values are refused here, before anything recursive meets them. */
const MAX_JSON_DEPTH = 100

function checkDepth(value: unknown, depth = 1): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (depth > MAX_JSON_DEPTH) throw bad(`JSON: nested deeper than ${MAX_JSON_DEPTH} levels.`)
  for (const item of Array.isArray(value) ? value : Object.values(value)) checkDepth(item, depth + 1)
  return value
}

/** A variable is coerced by each of its checks: what was walked once, for a large value a third of a second, is not walked again. */
const WALKED = new WeakSet<object>()

function checkDepthOnce(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || WALKED.has(value)) return value
  checkDepth(value)
  WALKED.add(value)
  return value
}

function fromLiteral(node: ValueNode, variables?: Record<string, unknown> | null): unknown {
  switch (node.kind) {
    case Kind.NULL:
      return null
    case Kind.INT:
    case Kind.FLOAT:
      return Number(node.value)
    case Kind.STRING:
    case Kind.BOOLEAN:
      return node.value
    case Kind.LIST:
      return node.values.map((item) => fromLiteral(item, variables))
    case Kind.OBJECT:
      // fromEntries defines own properties, so that a key named __proto__ stays a key
      return Object.fromEntries(node.fields.map((field) => [field.name.value, fromLiteral(field.value, variables)]))
    case Kind.VARIABLE:
      return variables?.[node.name.value] ?? null
    case Kind.ENUM:
      throw bad(`JSON: ${node.value} is not a JSON value; strings have quotes.`)
  }
}

builder.scalarType('JSON', {
  description: `Any JSON value, at most ${MAX_JSON_DEPTH} levels deep.`,
  specifiedByURL: 'https://www.rfc-editor.org/rfc/rfc8259',
  serialize: (value) => value,
  parseValue: checkDepthOnce,
  parseLiteral: (node, variables) => checkDepth(fromLiteral(node, variables)),
})
