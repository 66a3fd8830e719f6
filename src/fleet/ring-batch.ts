/** Rings as the text of messages, the same for each bus: `{"from": origin, "rings": [[topic, payload?], ...]}`. Pure. */

export interface Ring {
  readonly topic: string
  readonly payload?: string
}

/** PostgreSQL takes less than 8,000 bytes; Redis would take more. */
const MAX_MESSAGE_BYTES = 7_900

/**
 * As few messages as hold all the rings. A ring too long for a message loses its payload, and one whose topic alone is too long
 * is dropped: rings are hints.
 */
export function packRings(origin: string, rings: readonly Ring[]): string[] {
  const wrap = (packed: readonly string[]): string => `{"from":${JSON.stringify(origin)},"rings":[${packed.join(',')}]}`
  const room = MAX_MESSAGE_BYTES - Buffer.byteLength(wrap([]))
  const messages: string[] = []
  let packed: string[] = []
  let size = 0
  for (const ring of rings) {
    const text = shorten(ring, room)
    if (text === undefined) continue
    const bytes = Buffer.byteLength(text) + 1
    if (size + bytes > room + 1) {
      messages.push(wrap(packed))
      packed = []
      size = 0
    }
    packed.push(text)
    size += bytes
  }
  return packed.length === 0 ? messages : [...messages, wrap(packed)]
}

/** Undefined for a message that no bus sent: anybody with the password of what carries it may send one. */
export function unpackRings(message: string): { origin: string; rings: Ring[] } | undefined {
  if (message.length > MAX_MESSAGE_BYTES) return undefined
  try {
    const { from, rings } = JSON.parse(message) as { from: unknown; rings: unknown }
    if (typeof from !== 'string' || !Array.isArray(rings) || !rings.every(isPair)) return undefined
    return { origin: from, rings: rings.map(([topic, payload]) => (payload === undefined ? { topic } : { topic, payload })) }
  } catch {
    return undefined
  }
}

function shorten({ topic, payload }: Ring, room: number): string | undefined {
  const candidates = payload === undefined ? [[topic]] : [[topic, payload], [topic]]
  return candidates.map((candidate) => JSON.stringify(candidate)).find((text) => Buffer.byteLength(text) <= room)
}

function isPair(value: unknown): value is [string, string?] {
  return Array.isArray(value) && typeof value[0] === 'string' && (value[1] === undefined || typeof value[1] === 'string')
}
