/** Which of many words a text holds, in one walk over it (Aho and Corasick, 1975). */

export interface TextAutomaton {
  /** Calls `found` with the place of each word that the text holds; with one that it holds twice perhaps twice. */
  search(text: string, found: (word: number) => void): void
}

export function createTextAutomaton(words: readonly string[]): TextAutomaton {
  /** node and next character -> node; 0 is the root */
  const next = new Map<number, number>()
  const ends: number[][] = [[]]
  const fallback: number[] = [0]
  /** the nearest shorter node at which a word ends */
  const shorter: number[] = [0]
  const step = (node: number, unit: number): number | undefined => next.get(node * 65_536 + unit)

  for (const [place, word] of words.entries()) {
    let node = 0
    for (let i = 0; i < word.length; i++) {
      const unit = word.charCodeAt(i)
      let child = step(node, unit)
      if (child === undefined) {
        child = ends.push([]) - 1
        next.set(node * 65_536 + unit, child)
      }
      node = child
    }
    ends[node]!.push(place)
  }

  const children: [unit: number, child: number][][] = ends.map(() => [])
  for (const [key, child] of next) children[Math.floor(key / 65_536)]!.push([key % 65_536, child])
  const queue = [0]
  for (const node of queue) {
    for (const [unit, child] of children[node]!) {
      let back = node
      let target: number | undefined
      while (back !== 0 && target === undefined) {
        back = fallback[back]!
        target = step(back, unit)
      }
      fallback[child] = node === 0 ? 0 : (target ?? 0)
      const to = fallback[child]
      shorter[child] = ends[to]!.length > 0 ? to : shorter[to]!
      queue.push(child)
    }
  }

  return {
    search(text, found) {
      let node = 0
      for (let i = 0; i < text.length; i++) {
        const unit = text.charCodeAt(i)
        let child = step(node, unit)
        while (child === undefined && node !== 0) {
          node = fallback[node]!
          child = step(node, unit)
        }
        node = child ?? 0
        for (let at = node; at !== 0; at = shorter[at]!) for (const word of ends[at]!) found(word)
      }
    },
  }
}
