/**
 * How an alert is signed, as Stripe does it: `sluice-signature: t=<seconds since 1970>,v1=<hexadecimal>`, an HMAC-SHA256 by the
 * shared secret over `<t>.<body>`. The time is signed too, so that an alert that somebody kept cannot be sent again later.
 */
import { createHmac } from 'node:crypto'

export const SIGNATURE_HEADER = 'sluice-signature'

export function signAlert(secret: string, body: string, seconds: number): string {
  const signature = createHmac('sha256', secret).update(`${seconds}.${body}`).digest('hex')
  return `t=${seconds},v1=${signature}`
}
