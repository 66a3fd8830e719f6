/** Answers on a bare connection: to what is no request that Node can parse, and to refused upgrades. The same JSON as everywhere. */
import { STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { Fault, FAULTS } from '../errors.ts'
import type { FaultCode } from '../errors.ts'
import { newUuid } from '../ids.ts'

/** Writes the answer and ends the connection, whether or not the other side goes on sending. */
export function answerRaw(socket: Duplex, code: FaultCode, detail?: string, requestId = newUuid()): void {
  if (!socket.writable) {
    socket.destroy()
    return
  }
  const { status } = FAULTS[code]
  const { message, extensions } = new Fault(code, detail, { extensions: { requestId } })
  const body = JSON.stringify({ errors: [{ message, extensions }] })
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'connection: close',
    'content-type: application/json; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
    'cache-control: no-store',
    "content-security-policy: default-src 'none'",
    'x-content-type-options: nosniff',
    'x-frame-options: DENY',
    `x-request-id: ${requestId}`,
  ]
  socket.once('finish', () => socket.destroy())
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
}

/** Node's `clientError`: bytes that are no HTTP, headers without end, a request that takes too long. */
export function answerClientError(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET') socket.destroy()
  else if (error.code === 'HPE_HEADER_OVERFLOW') answerRaw(socket, 'HEADERS_TOO_LARGE')
  else if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') answerRaw(socket, 'REQUEST_TIMEOUT')
  else answerRaw(socket, 'BAD_REQUEST', 'This is not HTTP.')
}
