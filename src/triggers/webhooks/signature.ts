/**
 * The signature of a webhook request: `t=1732269600,v1=5257a8...`, HMAC-SHA256 in hexadecimal of the time (seconds), a dot, and the body as
 * it was sent. Several `v1` may stand there while a secret is replaced. https://docs.stripe.com/webhooks#verify-manually
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'

/** How far the time may lie from ours. */
export const TOLERANCE_MS = 300_000
const MOST_SIGNATURES = 5
const LONGEST_HEADER = 1_000

/** What identifies the request, when one of its signatures is right and its time is near; undefined: it is not to be trusted. */
export function verifySignature(header: string, body: string, secret: string, nowMs: number): Buffer | undefined {
  const { time, signatures } = parse(header)
  const right = createHmac('sha256', secret).update(`${time}.${body}`).digest()
  // each is compared, in constant time, also when the time is wrong
  const isSigned = signatures.reduce((found, one) => timingSafeEqual(one, right) || found, false)
  const isNear = Math.abs(nowMs - Number(time) * 1_000) <= TOLERANCE_MS
  return isSigned && isNear ? createHash('sha256').update(right).digest() : undefined
}

/** As whoever sends it does. `atMs`: since 1970. */
export function signatureOf(body: string, secret: string, atMs: number): string {
  const time = Math.floor(atMs / 1_000)
  return `t=${time},v1=${createHmac('sha256', secret).update(`${time}.${body}`).digest('hex')}`
}

function parse(header: string): { time: string; signatures: Buffer[] } {
  const parts = header.slice(0, LONGEST_HEADER).split(',')
  const values = (name: string): string[] =>
    parts.flatMap((part) => (part.trim().startsWith(`${name}=`) ? [part.trim().slice(name.length + 1)] : []))
  const time = values('t').find((text) => /^\d{1,12}$/.test(text)) ?? ''
  const signatures = values('v1').filter((text) => /^[0-9a-fA-F]{64}$/.test(text))
  return { time, signatures: signatures.slice(0, MOST_SIGNATURES).map((text) => Buffer.from(text, 'hex')) }
}
