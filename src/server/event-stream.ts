/**
 * Subscriptions over HTTP as server-sent events, the way graphql-sse's clients read them: one operation a response, `next` for each
 * result, `complete` when nothing follows. `id` is the feed's cursor, so that `Last-Event-ID` resumes.
 * https://html.spec.whatwg.org/multipage/server-sent-events.html https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ExecutionResult } from 'graphql'
import { Fault, FAULTS } from '../errors.ts'
import type { FaultCode } from '../errors.ts'
import type { Answerer, Visitor } from './answer.ts'
import { drained, MAX_BUFFERED_BYTES } from './drained.ts'
import type { FeedAnswer } from './follow.ts'
import { readParameters } from './graphql-over-http.ts'
import { keyOf } from './request-limits.ts'
import { Places } from './places.ts'

const MAX_CURSOR_LENGTH = 1_000

export interface StreamRequest {
  /** the parameters of one operation */
  readonly body: string
  /** it came by GET */
  readonly readsOnly: boolean
}

/** Answers with a stream, or with the errors that refuse it. Throws a `Fault` before anything is sent. */
export type AnswerStream = (
  request: IncomingMessage,
  response: ServerResponse,
  asked: StreamRequest,
  visitor: Visitor,
) => Promise<void>

export const wantsStream = ({ headers }: IncomingMessage): boolean =>
  headers.accept?.split(',').some((range) => range.trim().toLowerCase().startsWith('text/event-stream')) ?? false

/** `maxStreams`: of one principal, in this process. */
export function createEventStreams(
  answer: Answerer,
  maxStreams: number,
  present: (thrown: unknown, visitor: Visitor) => Error,
): AnswerStream {
  const places = new Places(maxStreams)

  return async (request, response, { body, readsOnly }, visitor) => {
    const params = readParameters(body)
    if (Array.isArray(params)) throw new Fault('BAD_REQUEST', 'One operation a stream.')
    // whoever left while it was asked who it is: its `close` has been, and nothing would give the place back
    if (response.destroyed) return
    const leavePlace = places.take(keyOf(visitor))
    if (!leavePlace) {
      throw new Fault('RATE_LIMITED', `At most ${maxStreams} streams are open at a time.`, {
        extensions: { limit: maxStreams, remaining: 0 },
      })
    }
    response.once('close', leavePlace)
    const resumesAt = lastEventId(request)
    const way = { door: 'SSE', readsOnly, ...(resumesAt !== undefined && { resumesAt }) } as const
    const answered = await answer(visitor, params, way)
    if (response.destroyed) return
    if ('follow' in answered) return follow(response, answered, resumesAt, (thrown) => present(thrown, visitor))
    if (answered.data === undefined) return refuse(response, answered)
    open(response)
    write(response, JSON.stringify(answered))
    complete(response)
  }
}

function lastEventId({ headers }: IncomingMessage): string | undefined {
  const given = headers['last-event-id']
  return typeof given === 'string' && given !== '' ? given.slice(0, MAX_CURSOR_LENGTH) : undefined
}

function refuse(response: ServerResponse, answered: ExecutionResult): void {
  const code = (answered.errors?.[0]?.extensions['code'] ?? 'INTERNAL') as FaultCode
  const body = Buffer.from(JSON.stringify(answered))
  response
    .writeHead(FAULTS[code].status, {
      ...{ 'content-type': 'application/json; charset=utf-8', 'content-length': body.length, 'cache-control': 'no-store' },
    })
    .end(body)
}

function open(response: ServerResponse): void {
  if (response.headersSent) return
  response.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    // no proxy may keep, compress or hold back a part of it
    'cache-control': 'no-store, no-transform',
    'x-accel-buffering': 'no',
    connection: 'keep-alive',
  })
  response.flushHeaders()
}

const write = (response: ServerResponse, text: string, cursor?: string): boolean =>
  response.write(`${cursor === undefined ? '' : `id: ${cursor}\n`}event: next\ndata: ${text}\n\n`)

function complete(response: ServerResponse): void {
  response.end('event: complete\ndata:\n\n')
}

function follow(
  response: ServerResponse,
  answer: FeedAnswer,
  resumesAt: string | undefined,
  present: (thrown: unknown) => Error,
): void {
  /** the first frame, as long as it may be the only one */
  let held: { text: string; cursor: string } | undefined
  const flush = (): void => {
    if (!held || response.destroyed) return
    open(response)
    write(response, held.text, held.cursor)
    held = undefined
  }
  const leave = answer.follow({
    send(text, cursor) {
      flush()
      if (response.destroyed) return
      if (!response.headersSent && cursor === resumesAt) {
        held = { text, cursor }
        setImmediate(flush)
        return
      }
      open(response)
      write(response, text, cursor)
    },
    congested: () => !response.destroyed && response.writableLength > MAX_BUFFERED_BYTES,
    drained: () => drained(response),
    // what it follows has not ended: the answer is no 204
    caughtUp() {
      if (!held && !response.destroyed) open(response)
    },
    over(why) {
      if (response.destroyed) return
      // whoever resumes at the end has seen it: this tells an EventSource not to come back
      if (held && why === 'FINISHED') return void response.writeHead(204).end()
      flush()
      if (why === 'FINISHED' || why === 'ACCESS_REVOKED') complete(response)
      else response.end()
    },
    fail(error) {
      if (response.destroyed) return
      flush()
      open(response)
      write(response, JSON.stringify({ errors: [present(error)] }))
      response.end()
    },
  })
  response.once('close', leave)
  // so that the client knows at once that it is connected, unless the answer may be 204
  if (resumesAt === undefined) open(response)
}
