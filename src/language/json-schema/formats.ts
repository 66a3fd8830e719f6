/** The formats of texts that a JSON Schema may ask for. */
import formats from 'ajv-formats/dist/formats.js'

const NAMES = [
  ...(['date', 'time', 'date-time', 'duration', 'email', 'hostname'] as const),
  ...(['ipv4', 'ipv6', 'uri', 'uri-reference', 'uuid', 'json-pointer'] as const),
]
/** The library's patterns are linear enough only for short texts. */
const MAX_FORMATTED_LENGTH = 1_000

export const FORMATS: ReadonlyMap<string, (text: string) => boolean> = new Map(
  NAMES.map((name) => {
    const format: unknown = formats.fullFormats[name]
    const check = (format as { validate?: unknown }).validate ?? format
    const test = check instanceof RegExp ? (text: string) => check.test(text) : (check as (text: string) => boolean)
    return [name, (text: string) => text.length <= MAX_FORMATTED_LENGTH && test(text)]
  }),
)
