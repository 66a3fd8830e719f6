/** How many keys the JSON of a request has, before anything is made of it: each costs hundreds of times what its bytes do. */
import { Fault } from '../errors.ts'

/** Of all objects together; an input of 1,000,000 bytes with as many is nothing but keys. */
export const MAX_KEYS = 100_000
/** Fewer bytes cannot hold more keys. */
const BYTES_OF_A_KEY = 4

const [QUOTE, BACKSLASH, COLON] = [0x22, 0x5c, 0x3a]

/** Throws TOO_COMPLEX. What is no JSON is counted too; its fault shows when it is parsed. */
export function boundKeys(json: string): void {
  if (json.length <= MAX_KEYS * BYTES_OF_A_KEY) return
  let keys = 0
  let inside = false
  for (let at = 0; at < json.length; at++) {
    const unit = json.charCodeAt(at)
    if (unit === QUOTE) inside = !inside
    else if (inside) at += unit === BACKSLASH ? 1 : 0
    else if (unit === COLON && ++keys > MAX_KEYS) throw new Fault('TOO_COMPLEX', `The body has over ${MAX_KEYS} keys.`)
  }
}
