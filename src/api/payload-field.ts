/** Fields for what may be large: read only when selected, many at once, and null when it is over `maxBytes`. */
import type { Payload } from '../operations/executions/read-payloads.ts'
import { parsePayload } from '../operations/executions/read-payloads.ts'
import { MAX_STATE_BYTES } from '../language/payload.ts'
import type { Types } from './builder.ts'
import { loadersOf } from './loaders.ts'
import type { Loaders } from './loaders.ts'

/** What it costs to select a payload, or its size. */
export const PAYLOAD_COST = 20

type ObjectFields<Shape> = PothosSchemaTypes.ObjectFieldBuilder<Types, Shape>
type Read<Shape> = (parent: Shape, loaders: Loaders) => Promise<Payload | null>

/** `input: payloadField(t, 'What it was started with.', read)`. */
export function payloadField<Shape>(t: ObjectFields<Shape>, description: string, read: Read<Shape>) {
  return t.field({
    type: 'JSON',
    nullable: true,
    description: `${description} Null when it is over \`maxBytes\`, or was removed after the time that it is kept; its size is in the field of the same name with \`Bytes\`.`,
    complexity: PAYLOAD_COST,
    args: {
      maxBytes: t.arg.int({
        required: true,
        defaultValue: MAX_STATE_BYTES,
        description: 'Null instead of a value with more bytes than this (compact JSON in UTF-8).',
      }),
      unmask: unmaskArg(t),
    },
    resolve: async (parent, { maxBytes, unmask }, call) =>
      parsePayload(await read(parent, loadersOf(call, unmask ? 'UNMASKED' : 'MASKED')), maxBytes),
  })
}

/** The argument that asks for what is masked. */
export const unmaskArg = <Shape>(t: ObjectFields<Shape>) =>
  t.arg.boolean({
    required: true,
    defaultValue: false,
    description: "Shows what is masked: to the flow's owner and administrators, in person. Each use is in the audit log.",
  })

/** `redacted: redactedField(t, [readInput, readOutput])`. */
export function redactedField<Shape>(t: ObjectFields<Shape>, of: string, reads: readonly Read<Shape>[]) {
  return t.stringList({
    description: `What is masked in ${of}: JSON pointers (RFC 6901), at most 1,000 a value.`,
    complexity: PAYLOAD_COST * reads.length,
    resolve: async (parent, _args, call) => {
      const payloads = await Promise.all(reads.map((read) => read(parent, loadersOf(call))))
      return payloads.flatMap((payload) => [...(payload?.redacted ?? [])])
    },
  })
}

/** `inputBytes: payloadBytesField(t, 'input', read)`. */
export function payloadBytesField<Shape>(t: ObjectFields<Shape>, of: string, read: Read<Shape>) {
  return t.int({
    nullable: true,
    description: `The size of \`${of}\` in bytes, as compact JSON in UTF-8.`,
    complexity: PAYLOAD_COST,
    resolve: async (parent, _args, call) => (await read(parent, loadersOf(call)))?.bytes ?? null,
  })
}
