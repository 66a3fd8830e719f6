/** ISO 8601 durations of fixed length (`P2DT3H`, `PT0.5S`, `P1W`) to milliseconds and back. */

const MS = { week: 604_800_000, day: 86_400_000, hour: 3_600_000, minute: 60_000, second: 1_000 } as const

/** Ten years: far enough for any flow, and every deadline stays a date that PostgreSQL can hold. */
export const MAX_DURATION_MS = 3_650 * MS.day

const NUMBER = String.raw`\d{1,12}(?:[.,]\d{1,9})?`
const PATTERN = new RegExp(
  `^P(?=[\\dT])(?:(${NUMBER})W)?(?:(${NUMBER})D)?(?:T(?=\\d)(?:(${NUMBER})H)?(?:(${NUMBER})M)?(?:(${NUMBER})S)?)?$`,
)
const UNITS = [MS.week, MS.day, MS.hour, MS.minute, MS.second]

/**
 * `PT1M30S` -> 90000, or undefined when the text is not such a duration or longer than ten years.
 * Years and months have no fixed length and are not accepted; only the last part may have a fraction, as ISO 8601 says.
 * The result is rounded to whole milliseconds.
 */
export function parseDuration(text: string): number | undefined {
  if (text.length > 64) return undefined
  const parts = PATTERN.exec(text)?.slice(1)
  if (!parts) return undefined
  let ms = 0
  let fractionSeen = false
  for (const [i, part] of parts.entries()) {
    if (part === undefined) continue
    if (fractionSeen) return undefined
    const number = part.replace(',', '.')
    fractionSeen = number.includes('.')
    ms += Number(number) * UNITS[i]!
  }
  ms = Math.round(ms)
  return ms <= MAX_DURATION_MS ? ms : undefined
}

/** 90000 -> `PT1M30S`: days, hours, minutes, seconds, never weeks. Fractions of a millisecond are rounded away. */
export function formatDuration(milliseconds: number): string {
  let rest = Math.round(milliseconds)
  const take = (unit: number): number => {
    const count = Math.floor(rest / unit)
    rest -= count * unit
    return count
  }
  const days = take(MS.day)
  const hours = take(MS.hour)
  const minutes = take(MS.minute)
  const date = days ? `${days}D` : ''
  const time = (hours ? `${hours}H` : '') + (minutes ? `${minutes}M` : '') + (rest ? `${rest / MS.second}S` : '')
  return date || time ? `P${date}${time && `T${time}`}` : 'PT0S'
}
