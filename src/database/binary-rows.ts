/**
 * Rows as PostgreSQL reads them without parsing: an array of a composite type, in the binary format of `array_recv` and
 * `record_recv`. A Buffer given to `Database.query` goes as a binary parameter: `unnest($1::sluice.event_row[])` are the rows.
 * Half the server's time of the same rows as JSON (measured). https://www.postgresql.org/docs/18/protocol-overview.html
 */

/** Object ids of types, fixed in PostgreSQL's catalog. */
const OID = { int8: 20, int2: 21, int4: 23, text: 25, json: 114, float8: 701, timestamptz: 1184, uuid: 2950, jsonb: 3802 }
const BOOL_OID = 16
const BYTEA_OID = 17
const JSONB_VERSION = 1
const NULL = -1
/** PostgreSQL counts microseconds from 2000-01-01. */
const EPOCH_MS = Date.UTC(2000, 0, 1)
const TWO_TO_32 = 2 ** 32
/** hexadecimal digit -> its value, by character code */
const HEX = new Uint8Array(128)
for (let digit = 0; digit < 16; digit++) {
  HEX[digit.toString(16).charCodeAt(0)] = digit
  HEX[digit.toString(16).toUpperCase().charCodeAt(0)] = digit
}

/** Rows of one type, one after another, not yet an array. */
export interface EncodedRows {
  readonly count: number
  readonly bytes: Buffer
}

type Maybe<T> = T | null | undefined

/**
 * Writes the columns of a row in the order of its type; null and undefined are null. Its buffer is used again and again:
 * one writer for one thread of control that does not wait between `begin` and `take`.
 */
export class RowWriter {
  #bytes = Buffer.allocUnsafeSlow(65_536)
  #view = new DataView(this.#bytes.buffer)
  #at = 0
  #rowAt = 0
  #count = 0

  begin(columns: number): void {
    this.#reserve(8)
    this.#rowAt = this.#at
    this.#view.setInt32(this.#at + 4, columns)
    this.#at += 8
  }

  end(): void {
    this.#view.setInt32(this.#rowAt, this.#at - this.#rowAt - 4)
    this.#count++
  }

  /** The rows since the last time; undefined when there were none. */
  take(): EncodedRows | undefined {
    if (this.#count === 0) return undefined
    const bytes = Buffer.allocUnsafe(this.#at)
    this.#bytes.copy(bytes, 0, 0, this.#at)
    const rows = { count: this.#count, bytes }
    this.#at = 0
    this.#count = 0
    return rows
  }

  uuid(value: Maybe<string>): void {
    if (value == null) return this.#head(OID.uuid, NULL)
    this.#head(OID.uuid, 16)
    writeUuid(this.#bytes, this.#at, value)
    this.#at += 16
  }

  int2(value: Maybe<number>): void {
    if (value == null) return this.#head(OID.int2, NULL)
    this.#head(OID.int2, 2)
    if (value !== (value << 16) >> 16) return this.#refuse()
    this.#view.setInt16(this.#at, value)
    this.#at += 2
  }

  int4(value: Maybe<number>): void {
    if (value == null) return this.#head(OID.int4, NULL)
    this.#head(OID.int4, 4)
    if (value !== (value | 0)) return this.#refuse()
    this.#view.setInt32(this.#at, value)
    this.#at += 4
  }

  /** a safe integer */
  int8(value: Maybe<number>): void {
    if (value == null) return this.#head(OID.int8, NULL)
    this.#head(OID.int8, 8)
    this.#writeInt8(value)
  }

  float8(value: Maybe<number>): void {
    if (value == null) return this.#head(OID.float8, NULL)
    this.#head(OID.float8, 8)
    this.#view.setFloat64(this.#at, value)
    this.#at += 8
  }

  bool(value: Maybe<boolean>): void {
    if (value == null) return this.#head(BOOL_OID, NULL)
    this.#head(BOOL_OID, 1)
    this.#bytes[this.#at++] = value ? 1 : 0
  }

  /** ms since 1970 as a timestamptz, cut to whole milliseconds */
  time(value: Maybe<number>): void {
    if (value == null) return this.#head(OID.timestamptz, NULL)
    this.#head(OID.timestamptz, 8)
    this.#writeInt8((Math.floor(value) - EPOCH_MS) * 1000)
  }

  text(value: Maybe<string>): void {
    if (value == null) return this.#head(OID.text, NULL)
    this.#head(OID.text, 0)
    this.#writeText(value)
  }

  /** `text` is JSON already */
  jsonText(text: Maybe<string>): void {
    if (text == null) return this.#head(OID.json, NULL)
    this.#head(OID.json, 0)
    this.#writeText(text)
  }

  json(value: unknown): void {
    this.jsonText(value == null ? null : JSON.stringify(value))
  }

  jsonb(value: unknown): void {
    if (value == null) return this.#head(OID.jsonb, NULL)
    this.#head(OID.jsonb, 0)
    const from = this.#at
    this.#reserve(1)
    this.#bytes[this.#at++] = JSONB_VERSION
    this.#writeText(JSON.stringify(value), from)
  }

  bytea(value: Maybe<Uint8Array>): void {
    if (value == null) return this.#head(BYTEA_OID, NULL)
    this.#head(BYTEA_OID, value.length)
    this.#reserve(value.length)
    this.#bytes.set(value, this.#at)
    this.#at += value.length
  }

  /** Type and length of a value; room for it when it is short. */
  #head(oid: number, length: number): void {
    this.#reserve(24)
    this.#view.setInt32(this.#at, oid)
    this.#view.setInt32(this.#at + 4, length)
    this.#at += 8
  }

  /** What does not fit must not be stored as something else: it becomes more bytes than belong, which PostgreSQL refuses (22P03). */
  #refuse(): void {
    this.#view.setInt32(this.#at - 4, 8)
    this.#at += 8
  }

  #writeInt8(value: number): void {
    const high = Math.floor(value / TWO_TO_32)
    this.#view.setInt32(this.#at, high)
    this.#view.setUint32(this.#at + 4, value - high * TWO_TO_32)
    this.#at += 8
  }

  /** The text, and the length of what began at `from` before it. */
  #writeText(text: string, from = this.#at): void {
    this.#reserve(text.length * 3)
    this.#at += this.#bytes.write(text, this.#at)
    this.#view.setInt32(from - 4, this.#at - from)
  }

  #reserve(length: number): void {
    const needed = this.#at + length
    if (needed <= this.#bytes.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2))
    this.#bytes.copy(larger, 0, 0, this.#at)
    this.#bytes = larger
    this.#view = new DataView(larger.buffer)
  }
}

/** An array of rows, as a parameter; null when there are none. */
export function rowArray(parts: readonly EncodedRows[]): Buffer | null {
  let count = 0
  for (const part of parts) count += part.count
  if (count === 0) return null
  // 0: PostgreSQL takes the element type of the parameter
  return Buffer.concat([arrayHead(0, count), ...parts.map(({ bytes }) => bytes)])
}

/** A `uuid[]` as a parameter. */
export function uuidArray(values: readonly string[]): Buffer {
  const bytes = Buffer.allocUnsafe(values.length * 20)
  for (const [index, value] of values.entries()) {
    bytes.writeInt32BE(16, index * 20)
    writeUuid(bytes, index * 20 + 4, value)
  }
  return Buffer.concat([arrayHead(OID.uuid, values.length), bytes])
}

/** An `integer[]` as a parameter. */
export function int4Array(values: readonly number[]): Buffer {
  const bytes = Buffer.allocUnsafe(values.length * 8)
  for (const [index, value] of values.entries()) {
    bytes.writeInt32BE(4, index * 8)
    bytes.writeInt32BE(value, index * 8 + 4)
  }
  return Buffer.concat([arrayHead(OID.int4, values.length), bytes])
}

/** One dimension, no nulls, counted from 1; PostgreSQL wants no dimension at all for an empty array. */
function arrayHead(elementOid: number, count: number): Buffer {
  const head = Buffer.alloc(count === 0 ? 12 : 20)
  head.writeInt32BE(count === 0 ? 0 : 1, 0)
  head.writeInt32BE(elementOid, 8)
  if (count > 0) {
    head.writeInt32BE(count, 12)
    head.writeInt32BE(1, 16)
  }
  return head
}

function writeUuid(bytes: Buffer, at: number, text: string): void {
  let place = at
  for (let index = 0; index < 36; index += 2) {
    // 8-4-4-4-12
    if (index === 8 || index === 13 || index === 18 || index === 23) index++
    bytes[place++] = (HEX[text.charCodeAt(index)]! << 4) | HEX[text.charCodeAt(index + 1)]!
  }
}
