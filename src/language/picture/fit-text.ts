/** Text that fits: cleaned of what cannot be shown, measured without a browser, shortened with an ellipsis, escaped for XML. */

/** Cuts what a picture never shows before any work is done on it. */
const LONGEST = 400
// control characters and line ends; directions and other format characters could make a name look like another; U+FFFE and U+FFFF are not XML
const UNSHOWN = /[\p{Cc}\p{Zl}\p{Zp}\s]+|[\p{Cf}\uFFFE\uFFFF]/gu

/** One line of showable text, at most 400 UTF-16 units long. */
export function cleanText(text: string): string {
  return text
    .slice(0, LONGEST)
    .toWellFormed()
    .replace(UNSHOWN, (found) => (/\p{Cf}|[\uFFFE\uFFFF]/u.test(found) ? '' : ' '))
    .trim()
}

/** About how wide a text is, in units of its font size. Rather too wide: fonts differ, and a name must not leave its box. */
export function textWidth(text: string): number {
  let width = 0
  for (const char of text) width += LATIN_WIDTHS.get(char) ?? (char < '\u1100' ? 0.66 : 1.1)
  return width
}
const LATIN_WIDTHS = new Map(
  Object.entries({
    "ijlI.,:;'|!()[] ": 0.38,
    'ftr"/\\-': 0.46,
    'mwMW@%…': 0.98,
    'ABCDEFGHJKLNOPQRSTUVXYZ_&~+=<>#': 0.78,
  }).flatMap(([chars, width]) => [...chars].map((char) => [char, width] as const)),
)

/** The text, or as much of its beginning as fits `width` with an ellipsis. Characters that people see as one are not torn apart. */
export function fitText(text: string, width: number): string {
  if (textWidth(text) <= width) return text
  let fitted = ''
  let left = width - textWidth('…')
  for (const { segment } of graphemes.segment(text)) {
    left -= textWidth(segment)
    if (left < 0) break
    fitted += segment
  }
  return `${fitted.trimEnd()}…`
}
const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' })

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&apos;' }
/** For text and for attribute values; the text has been through `cleanText`. */
export const escapeXml = (text: string): string => text.replace(/[&<>"']/g, (char) => ENTITIES[char]!)
