/**
 * Finds many texts in one pass, whatever is looked for and whatever it is looked for in (Aho and Corasick, 1975,
 * https://doi.org/10.1145/360825.360855): the time is the length of the text, so that no secret and no output can make it slow.
 */

interface State {
  readonly next: Map<number, State>
  /** of the texts looked for, how much of one is read here */
  readonly depth: number
  /** the longest other state that ends with what was read */
  fail: State
  /** length of the longest text that ends here; 0 = none */
  found: number
}

/** From a place in a text up to another, without it. */
export type Span = readonly [from: number, to: number]

/** Of a text that was cut, so much of a beginning at its end counts as found. */
const LEAST_CUT = 4

export class TextPatterns {
  readonly #root: State
  readonly isEmpty: boolean

  constructor(texts: Iterable<string>) {
    const root = { next: new Map(), depth: 0, found: 0 } as unknown as State
    root.fail = root
    for (const text of texts) if (text !== '') addText(root, text)
    this.#root = root
    this.isEmpty = root.next.size === 0
    linkStates(root)
  }

  /**
   * Where any of the texts stand, overlapping and touching ones as one, in order. `cut`: the text was longer once; what looks like
   * the beginning of one at its end is found too.
   */
  find(text: string, { cut = false } = {}): Span[] {
    const spans: [number, number][] = []
    let state = this.#root
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at)
      while (state !== this.#root && !state.next.has(code)) state = state.fail
      state = state.next.get(code) ?? this.#root
      if (state.found > 0) addSpan(spans, at + 1 - state.found, at + 1)
    }
    if (cut && state.depth >= LEAST_CUT) addSpan(spans, text.length - state.depth, text.length)
    return spans
  }
}

function addText(root: State, text: string): void {
  let state = root
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    let next = state.next.get(code)
    if (!next) state.next.set(code, (next = { next: new Map(), depth: at + 1, fail: root, found: 0 }))
    state = next
  }
  state.found = text.length
}

/** Level by level, so that what a state falls back to is known before it. */
function linkStates(root: State): void {
  const queue = [...root.next.values()]
  for (const state of queue) {
    for (const [code, child] of state.next) {
      let fail = state.fail
      while (fail !== root && !fail.next.has(code)) fail = fail.fail
      child.fail = fail.next.get(code) ?? root
      child.found = Math.max(child.found, child.fail.found)
      queue.push(child)
    }
  }
}

function addSpan(spans: [number, number][], from: number, to: number): void {
  let first = from
  // a longer find may reach behind several shorter ones
  for (let last = spans.at(-1); last && first <= last[1]; last = spans.at(-1)) {
    first = Math.min(first, last[0])
    spans.pop()
  }
  spans.push([first, to])
}
