/** Text that PostgreSQL stores, as `text` and inside of `jsonb`: neither NUL nor half of a surrogate pair, which cutting may leave. */
export const storableText = (text: string, length: number): string =>
  text.slice(0, length).replaceAll('\0', '\uFFFD').toWellFormed()
