/** Shows a feed until it ends: a drawing that stands still in a terminal, lines everywhere else. */
import type { Feed, FeedState } from '../../clients/feed/feed.ts'
import { line } from './draw/paint.ts'
import type { Paint, Piece } from './draw/paint.ts'
import { openScreen } from './screen.ts'
import type { Terminal } from './screen.ts'

/** Clocks run on while nothing happens. */
const REDRAW_MS = 250

export interface ShowOptions {
  readonly terminal: Terminal
  /** false: NO_COLOR is set */
  readonly colour: boolean
  /** lines instead of a drawing */
  readonly plain: boolean
  /** whoever looks has seen enough */
  readonly signal: AbortSignal
}

/** What a view looks like; both are pure. */
export interface Look<View> {
  draw(state: FeedState<View>, paint: Paint): string[]
  /** what is new since the state before */
  tell(before: FeedState<View>, state: FeedState<View>): Piece[][]
}

/** Resolves with the last state, when the feed has ended or nobody wants to see more. */
export async function show<View>(feed: Feed<View>, look: Look<View>, options: ShowOptions): Promise<FeedState<View>> {
  const { promise, resolve } = Promise.withResolvers<FeedState<View>>()
  options.signal.addEventListener('abort', () => resolve(feed.state))
  const stopShowing = options.plain ? told(feed, look, options) : drawn(feed, look, options)
  const stop = feed.subscribe((state) => {
    if (state.status === 'ended') resolve(state)
  })
  const last = await promise
  stopShowing()
  stop()
  return last
}

function drawn<View>(feed: Feed<View>, { draw }: Look<View>, { terminal, colour }: ShowOptions): () => void {
  const screen = openScreen(terminal)
  const redraw = (): void => {
    const { columns, rows } = screen
    screen.draw(draw(feed.state, { columns, rows, colour, now: Date.now() }))
  }
  const clock = setInterval(redraw, REDRAW_MS)
  const stop = feed.subscribe(redraw)
  return () => {
    clearInterval(clock)
    stop()
    redraw()
    screen.end()
  }
}

function told<View>(feed: Feed<View>, { tell }: Look<View>, { terminal, colour }: ShowOptions): () => void {
  let before = feed.state
  return feed.subscribe((state) => {
    const lines = tell(before, state).map((pieces) => line(pieces, { columns: Number.POSITIVE_INFINITY, colour }))
    before = state
    if (lines.length > 0) terminal.write(`${lines.join('\n')}\n`)
  })
}
