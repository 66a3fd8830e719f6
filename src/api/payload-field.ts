/** Fields for what may be large: read only when selected, many at once, and null when it is over `maxBytes`. */
import type { Payload } from '../operations/read-payloads.ts'
import { parsePayload } from '../operations/read-payloads.ts'
import { MAX_STATE_BYTES } from '../language/payload.ts'
import type { Call } from '../operations/call.ts'

import type { Types } from './builder.ts'

/** What it costs to select a payload, or its size. */
export const PAYLOAD_COST = 20

type ObjectFields<Shape> = PothosSchemaTypes.ObjectFieldBuilder<Types, Shape>
type Read<Shape> = (parent: Shape, call: Call) => Promise<Payload | null>

/** `input: payloadField(t, 'What it was started with.', read)`. */
export function payloadField<Shape>(t: ObjectFields<Shape>, description: string, read: Read<Shape>) {
  return t.field({
    type: 'JSON',
    nullable: true,
    description: `${description} Null when it is over \`maxBytes\`; its size is in the field of the same name with \`Bytes\`.`,
    complexity: PAYLOAD_COST,
    args: {
      maxBytes: t.arg.int({
        required: true,
        defaultValue: MAX_STATE_BYTES,
        description: 'Null instead of a value with more bytes than this (compact JSON in UTF-8).',
      }),
    },
    resolve: async (parent, { maxBytes }, call) => parsePayload(await read(parent, call), maxBytes),
  })
}

/** `inputBytes: payloadBytesField(t, 'input', read)`. */
export function payloadBytesField<Shape>(t: ObjectFields<Shape>, of: string, read: Read<Shape>) {
  return t.int({
    nullable: true,
    description: `The size of \`${of}\` in bytes, as compact JSON in UTF-8.`,
    complexity: PAYLOAD_COST,
    resolve: async (parent, _args, call) => (await read(parent, call))?.bytes ?? null,
  })
}
