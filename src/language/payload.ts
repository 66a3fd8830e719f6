/** What may be stored as input, output or state: plain JSON of bounded depth and size. On the hot path: one walk, one stringify. */

/** An execution's input, and its state after every step (A4). Exactly this many bytes pass. */
export const MAX_STATE_BYTES = 1_000_000
export const MAX_DEPTH = 100

export type PayloadCheck =
  | { ok: true; text: string; bytes: number }
  | { ok: false; code: 'NOT_JSON' | 'TOO_LARGE' | 'UNSTORABLE'; message: string; bytes?: number }

// JSON.stringify writes NUL and lone surrogates as escapes; an even run of backslashes before one means that it is no escape.
const NUL = /(?<!\\)(?:\\\\)*\\u0000/
const LONE_SURROGATE = /(?<!\\)(?:\\\\)*\\ud[89a-f]/

/**
 * Compact JSON text of `value` and its size in UTF-8 bytes, or why it cannot be stored.
 * Nothing is changed silently, except that object fields which are `undefined` are left out, as in JSON:
 * dates, maps, class instances, functions, bigints, NaN and cycles are refused with their place.
 */
export function checkPayload(value: unknown, maxBytes: number): PayloadCheck {
  try {
    return check(value, maxBytes)
  } catch {
    // A getter or a proxy of somebody's code.
    return { ok: false, code: 'NOT_JSON', message: 'an object that throws when it is read is not JSON' }
  }
}

function check(value: unknown, maxBytes: number): PayloadCheck {
  const walk: Walk = { room: maxBytes * 8 }
  const fault = findFault(value, 0, walk)
  if (fault)
    return { ok: false, code: fault.code, message: fault.path ? `${fault.path.slice(1)}: ${fault.message}` : fault.message }
  if (walk.room < 0)
    return { ok: false, code: 'TOO_LARGE', message: `over ${maxBytes * 8} bytes, at most ${maxBytes} are allowed` }

  const text = JSON.stringify(value)
  const bytes = Buffer.byteLength(text)
  if (bytes > maxBytes) return { ok: false, code: 'TOO_LARGE', message: `${bytes} bytes, at most ${maxBytes} are allowed`, bytes }
  if (text.includes('\\u0000') && NUL.test(text))
    return { ok: false, code: 'UNSTORABLE', message: 'holds the character NUL', bytes }
  if (text.includes('\\ud') && LONE_SURROGATE.test(text)) {
    return { ok: false, code: 'UNSTORABLE', message: 'holds half a character (a lone surrogate)', bytes }
  }
  return { ok: true, text, bytes }
}

/** `room` counts down by a lower bound of the JSON text, so that shared branches cannot blow up the walk or the text. */
interface Walk {
  room: number
}

interface Fault {
  code: 'NOT_JSON' | 'UNSTORABLE'
  message: string
  path: string
}

const notJson = (what: string): Fault => ({ code: 'NOT_JSON', message: `${what} is not JSON`, path: '' })

function findFault(value: unknown, depth: number, walk: Walk): Fault | undefined {
  walk.room -= 1
  switch (typeof value) {
    case 'string':
      walk.room -= value.length
      return undefined
    case 'boolean':
      return undefined
    case 'number':
      return Number.isFinite(value) ? undefined : notJson(String(value))
    case 'object':
      break
    default:
      return notJson(typeof value === 'undefined' ? 'undefined' : `a ${typeof value}`)
  }
  if (value === null || walk.room < 0) return undefined
  // A cycle also ends here: it is deeper than any limit.
  if (depth === MAX_DEPTH) {
    return { code: 'UNSTORABLE', message: `deeper than ${MAX_DEPTH} levels, or a cycle`, path: '' }
  }
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      const fault = findFault(value[i], depth + 1, walk)
      if (fault) return at(fault, i)
    }
    return undefined
  }
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) return notJson(`a ${value.constructor?.name || 'class instance'}`)
  for (const key of Object.keys(value)) {
    const inner = (value as Record<string, unknown>)[key]
    if (inner === undefined) continue
    walk.room -= key.length
    const fault = findFault(inner, depth + 1, walk)
    if (fault) return at(fault, key)
  }
  return typeof (value as { toJSON?: unknown }).toJSON === 'function' ? notJson('an object with toJSON') : undefined
}

/** Places are told while unwinding, so that the good case pays nothing. Long ones are cut: they are for reading. */
function at(fault: Fault, key: string | number): Fault {
  if (fault.path.length > 200) return fault
  fault.path = `.${String(key).slice(0, 50)}${fault.path}`
  return fault
}
