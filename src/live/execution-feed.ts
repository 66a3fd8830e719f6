/** One reader of one execution: an iterator that reads from PostgreSQL when it is pulled. Until then it costs a flag and a cursor. */
import { Fault } from '../errors.ts'
import { encodeFeedCursor } from './cursor.ts'
import { advance } from './frames.ts'
import type { CloseReason, ExecutionFrame } from './frames.ts'
import type { Principal } from '../identity/principal.ts'
import type { ExecutionSource, SourceMember } from './execution-source.ts'

/** Events in one delta: large enough for few statements, small enough (8 KB an event) for one message. */
const DELTA_LIMIT = 500
/** Before the token's end, so that the last frame is still admitted by it: whoever serves the feed checks the token at each frame. */
const EXPIRY_LEAD_MS = 2_500
/** How long a feed bears reads that fail though the sweep, which wakes it, can read. */
const PATIENCE_MS = 30_000

export interface ExecutionFeedOptions {
  readonly source: ExecutionSource
  /** the seq to resume after; undefined = begin with a snapshot */
  readonly after: number | undefined
  readonly principal: Principal
  /** UUID */
  readonly flowId: string
  /** Resolves when all changes of access that are older than a second are known here. Asked before each frame. */
  readonly fresh: () => Promise<void>
  readonly heartbeatMs: number
  /** ms since 1970 */
  readonly now: () => number
  /** Told of each failed read; the feed goes on unless it was the last try. */
  readonly onFailure: (error: unknown) => void
  /** Called once, when the feed is over for whatever reason. */
  readonly onGone: (feed: ExecutionFeed) => void
}

/**
 * Not an async generator: the `return()` of one waits until its pending `await` is over, so a reader who leaves while nothing
 * happens would stay. `next()` rejects when a read fails for good; the feed is over then.
 */
export class ExecutionFeed implements AsyncIterableIterator<ExecutionFrame>, SourceMember {
  readonly executionId: string
  readonly flowId: string
  readonly #options: ExecutionFeedOptions
  /** frames of the last page that were not pulled yet: at most a gap, a snapshot and an end */
  #ready: ExecutionFrame[] = []
  /** all events up to here are handed out or in `#ready` */
  #position: number | undefined
  /** events up to here may exist */
  #heard = Number.POSITIVE_INFINITY
  #cursor: string
  #principal: Principal
  #doubted = false
  #lastFrameAt: number
  #failingSince: number | undefined
  #heartbeatDue = false
  #closing: CloseReason | undefined
  #silent = false
  #gone = false
  #awake = false
  #resume: (() => void) | undefined
  #turn: Promise<unknown> = Promise.resolve()
  readonly #departed = Promise.withResolvers<void>()

  constructor(options: ExecutionFeedOptions) {
    this.#options = options
    this.executionId = options.source.executionId
    this.flowId = options.flowId
    this.#principal = options.principal
    this.#position = options.after
    this.#cursor = encodeFeedCursor(options.source.executionId, options.after ?? 0)
    this.#lastFrameAt = options.now()
    options.source.join(this)
  }

  /** Whose it is, as of the last check. */
  get principal(): Principal {
    return this.#principal
  }

  /** Access may have been lost: no frame goes out until it is confirmed. */
  doubt(): void {
    this.#doubted = true
  }

  confirm(principal: Principal): void {
    this.#principal = principal
    this.#doubted = false
    this.#wake()
  }

  /** A ring, or what the sweep saw: sets a flag, reads nothing. */
  hear(seq: number): void {
    if (seq <= (this.#position ?? -1)) return
    this.#heard = Math.max(this.#heard, seq)
    this.#wake()
  }

  /** The newest seq that the sweep saw, undefined when the execution is gone. Heals lost rings and reads that failed. */
  saw(seq: number | undefined): void {
    if (seq === this.#position && !this.#behind) return
    this.#heard = Number.POSITIVE_INFINITY
    this.#wake()
  }

  /** The sweep's call: is the token about to end, is a heartbeat due? */
  tick(now: number): void {
    if (now >= this.#principal.expiresAt - EXPIRY_LEAD_MS) void this.close('TOKEN_EXPIRED')
    if (now - this.#lastFrameAt < this.#options.heartbeatMs) return
    this.#heartbeatDue = true
    this.#wake()
  }

  /**
   * The next frame is `closed`. Only ACCESS_REVOKED completes: after the others the feed stays silent, because a client whose
   * subscription completed never connects again. Resolves when the frame was sent (the reader pulled once more) or the reader left.
   */
  close(reason: CloseReason): Promise<void> {
    this.#closing ??= reason
    this.#wake()
    return this.#departed.promise
  }

  next(): Promise<IteratorResult<ExecutionFrame, undefined>> {
    const result = this.#turn.then(() => this.#take())
    this.#turn = result.catch(() => undefined)
    return result
  }

  return(): Promise<IteratorResult<ExecutionFrame, undefined>> {
    this.#leave()
    return Promise.resolve({ done: true, value: undefined })
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  get #behind(): boolean {
    return this.#heard > (this.#position ?? -1)
  }

  async #take(): Promise<IteratorResult<ExecutionFrame, undefined>> {
    if (this.#silent) this.#departed.resolve()
    while (!this.#gone) {
      const frame = await this.#produce().catch((error: unknown) => this.#failed(error))
      if (this.#gone) break
      if (frame) return { done: false, value: this.#handOut(frame) }
      await this.#sleep()
    }
    return { done: true, value: undefined }
  }

  /** The next frame, or undefined when there is nothing to say now. */
  async #produce(): Promise<ExecutionFrame | undefined> {
    if (this.#silent) return undefined
    if (!this.#closing && (this.#ready.length > 0 || this.#behind || this.#heartbeatDue)) {
      await this.#options.fresh().catch((cause: unknown) => {
        throw new Error('who may see the execution is not known now', { cause })
      })
      if (!this.#closing && !this.#doubted && this.#ready.length === 0 && this.#behind) await this.#read()
    }
    if (this.#closing) return { kind: 'closed', cursor: this.#cursor, reason: this.#closing }
    if (this.#doubted) return undefined
    const frame = this.#ready.shift()
    if (frame || !this.#heartbeatDue) return frame
    return { kind: 'heartbeat', cursor: this.#cursor, serverTime: new Date(this.#options.now()) }
  }

  async #read(): Promise<void> {
    // a ring from now on may tell of a commit that this read does not see
    this.#heard = -1
    const page = await this.#options.source.readAfter(this.#position, this.#position === undefined ? 0 : DELTA_LIMIT)
    if (!page) return void this.close('ACCESS_REVOKED')
    const { frames, position } = advance(this.#position, page)
    this.#ready = [...frames]
    this.#position = position
    this.#failingSince = undefined
    this.#heard = Math.max(this.#heard, page.execution.seq)
  }

  /** The database may be restarting: the feed reads again after the next sweep that could. A refusal (Fault) is final at once. */
  #failed(error: unknown): undefined {
    const { onFailure, now } = this.#options
    this.#failingSince ??= now()
    this.#heard = Number.POSITIVE_INFINITY
    onFailure(error)
    if (!(error instanceof Fault) && now() - this.#failingSince < PATIENCE_MS) return
    this.#leave()
    throw error
  }

  #handOut(frame: ExecutionFrame): ExecutionFrame {
    this.#cursor = frame.cursor
    this.#lastFrameAt = this.#options.now()
    this.#heartbeatDue = false
    if (frame.kind === 'end' || (frame.kind === 'closed' && frame.reason === 'ACCESS_REVOKED')) this.#leave()
    if (frame.kind === 'closed') {
      this.#silent = true
      this.#options.source.leave(this)
    }
    return frame
  }

  #wake(): void {
    this.#awake = true
    this.#resume?.()
  }

  /** Until the next wake, or not at all when one came since the last sleep. */
  async #sleep(): Promise<void> {
    if (!this.#awake) await new Promise<void>((resolve) => (this.#resume = resolve))
    this.#resume = undefined
    this.#awake = false
  }

  #leave(): void {
    if (this.#gone) return
    this.#gone = true
    this.#ready = []
    this.#options.source.leave(this)
    this.#options.onGone(this)
    this.#departed.resolve()
    this.#wake()
  }
}
