/** An event of an execution in words: where, and what matters of its data. Pure. */
import type { ExecutionEvent } from '../../../clients/feed/feed.ts'
import { toned } from './paint.ts'
import type { Piece } from './paint.ts'

/** of the data that nobody knows how to put */
const MAX_DATA = 160

export function describe({ type, path, attempt, data }: ExecutionEvent): Piece[] {
  const words = wordsOf(type, isObject(data) ? data : {})
  return [
    path ?? '',
    ...(attempt !== null && attempt > 1 ? [toned('yellow', ` (attempt ${attempt})`)] : []),
    ...(words === '' ? [] : [path === null ? words : `  ${words}`]),
  ]
}

function wordsOf(type: string, data: Readonly<Record<string, unknown>>): string {
  const { message, code, error, role, subject, done, total, fraction, ...rest } = data
  switch (type) {
    case 'step.log':
      return [textOf(message), ...Object.values(rest).map(textOf)].join(' ')
    case 'step.progress':
      return [
        typeof fraction === 'number' ? `${Math.round(fraction * 100)} %` : '',
        typeof done === 'number' ? `${done}${typeof total === 'number' ? `/${total}` : ''}` : '',
        textOf(message),
      ]
        .filter(Boolean)
        .join(' ')
    case 'agent.asked':
    case 'agent.notified':
      return `${textOf(role)}: ${textOf(subject)}`
    case 'agent.answered':
      return [data['decision'], data['answeredBy']].map(textOf).filter(Boolean).join(' by ')
    case 'route.taken':
      return `→ ${textOf(data['route'])}`
    case 'step.skipped':
      return textOf(data['why'])
    default: {
      const failure = isObject(error) ? error : { code, message }
      if (typeof failure['code'] === 'string') return [failure['code'], textOf(failure['message'])].filter(Boolean).join(': ')
      return textOf(data).slice(0, MAX_DATA)
    }
  }
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null

function textOf(value: unknown): string {
  if (typeof value === 'string') return value
  const empty = value === undefined || value === null || (isObject(value) && Object.keys(value).length === 0)
  return empty ? '' : JSON.stringify(value)
}
