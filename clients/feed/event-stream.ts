/** Reads server-sent events out of a text that comes in pieces. https://html.spec.whatwg.org/multipage/server-sent-events.html */

export interface StreamEvent {
  readonly event: string
  readonly data: string
}

/** Takes pieces of a stream as they come, and gives the events that are whole. */
export function createEventReader(): (piece: string) => StreamEvent[] {
  let rest = ''
  let event = ''
  let data: string[] = []

  function take(line: string): StreamEvent | undefined {
    if (line === '') {
      const whole = { event: event || 'message', data: data.join('\n') }
      const isOne = data.length > 0 || event !== ''
      event = ''
      data = []
      return isOne ? whole : undefined
    }
    const [, name, value = ''] = /^([^:]*)(?::[ ]?([^]*))?$/.exec(line)!
    if (name === 'event') event = value
    else if (name === 'data') data.push(value)
    return undefined
  }

  return (piece) => {
    const lines = (rest + piece).split(/\r\n|\n|\r(?!$)/)
    // its end may be on the way; so may the other half of CRLF
    rest = lines.pop()!
    return lines.flatMap((line) => take(line) ?? [])
  }
}
