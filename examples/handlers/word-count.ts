/** Counts the words of a text in any language. */
import { defineHandler } from '../../src/engine/handlers/define-handler.ts'

export default defineHandler({
  name: 'word_count',
  run: (input: { text: string; top?: number }) => {
    if (typeof input.text !== 'string') throw Object.assign(new Error('`text` must be a string.'), { retryable: false })
    const counts = new Map<string, number>()
    let words = 0
    for (const { segment, isWordLike } of new Intl.Segmenter(undefined, { granularity: 'word' }).segment(input.text)) {
      if (!isWordLike) continue
      const word = segment.toLowerCase()
      counts.set(word, (counts.get(word) ?? 0) + 1)
      words++
    }
    const mostFrequent = [...counts]
      .sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))
      .slice(0, input.top ?? 5)
      .map(([word, count]) => ({ word, count }))
    return { words, distinct: counts.size, mostFrequent }
  },
})
