/** What a source answers, as JSON that loses nothing: numbers where JavaScript holds them exactly, else the text that PostgreSQL writes. */
import { types } from 'pg'

/** What PostgreSQL writes, never null, to JSON. */
export type Convert = (text: string) => unknown

/** NaN and the infinities are no JSON; a bigint may be beyond 2^53. */
const number: Convert = (text) => {
  const value = Number(text)
  const isExact = Number.isSafeInteger(value) || !/^-?\d+$/.test(text)
  return Number.isFinite(value) && isExact ? value : text
}
/** `2026-01-31 09:00:00.123+00` as RFC 3339; what is no such date (`infinity`, BC) stays as it is. */
const timestamp: Convert = (text) => (/^\d{4}-\d\d-\d\d \S+$/.test(text) ? text.replace(' ', 'T').replace(/\+00$/, 'Z') : text)
const json: Convert = (text) => JSON.parse(text)
const asText: Convert = (text) => text

const { BOOL, INT2, INT4, INT8, FLOAT4, FLOAT8, JSON: JSON_TYPE, JSONB, TIMESTAMP, TIMESTAMPTZ } = types.builtins
const CONVERTERS = new Map<number, Convert>([
  [BOOL, (text) => text === 't'],
  ...[INT2, INT4, INT8, FLOAT4, FLOAT8].map((type): [number, Convert] => [type, number]),
  ...[JSON_TYPE, JSONB].map((type): [number, Convert] => [type, json]),
  ...[TIMESTAMP, TIMESTAMPTZ].map((type): [number, Convert] => [type, timestamp]),
])

/** Types of arrays, by the type of their elements (`select oid, typelem from pg_type`): those that are read as texts are under text. */
const ARRAYS = new Map<number, readonly number[]>([
  [BOOL, [1000]],
  [INT4, [1005, 1007, 1016]],
  [FLOAT8, [1021, 1022]],
  [JSONB, [199, 3807]],
  [TIMESTAMP, [1115, 1185]],
  // name, text, bpchar, varchar, date, interval, numeric, uuid, inet, cidr
  [types.builtins.TEXT, [1003, 1009, 1014, 1015, 1182, 1187, 1231, 2951, 1041, 651]],
])
const TEXT_ARRAY = 1009
// typed for numbers that the library's list names, which has no arrays
const readArray = (types.getTypeParser as (type: number) => Convert)(TEXT_ARRAY)
for (const [element, arrays] of ARRAYS) {
  const convert = CONVERTERS.get(element) ?? asText
  for (const type of arrays) CONVERTERS.set(type, (text) => eachElement(readArray(text), convert))
}

function eachElement(value: unknown, convert: Convert): unknown {
  if (Array.isArray(value)) return value.map((inner) => eachElement(inner, convert))
  return typeof value === 'string' ? convert(value) : value
}

/** How a column of this type, its number in PostgreSQL, is read. */
export const converterOf = (type: number): Convert => CONVERTERS.get(type) ?? asText
