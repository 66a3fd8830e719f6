/** The forms in which a secret may come out: as it is, and as the usual encodings write it. */

/** Shorter texts stand in too many places that have nothing to do with the secret. */
export const LEAST_FORM = 6

/** All different, each at least 6 characters long. */
export function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret)
  const json = escapedInJson(secret)
  const url = encodeURIComponent(secret)
  const forms = [
    ...[secret, secret.trim(), json, escapedInJson(json), json.replaceAll('/', String.raw`\/`), asciiJson(secret)],
    ...[url, strict(url), inUrl(secret), inForm(secret), encodeURI(secret)].flatMap(bothCases),
    ...[inHtml(secret), bytes.toString('hex'), bytes.toString('hex').toUpperCase()],
    ...[0, 1, 2].flatMap((before) => insideBase64(bytes, before)),
    // a key of many lines is often shown line by line
    ...(secret.includes('\n') ? secret.split(/\r?\n/).filter((line) => /[^-\s]{16}/.test(line)) : []),
  ]
  return [...new Set(forms)].filter((form) => form.length >= LEAST_FORM)
}

const escapedInJson = (text: string): string => JSON.stringify(text).slice(1, -1)
const asciiJson = (text: string): string =>
  escapedInJson(text).replace(/[^ -~]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
/** RFC 3986 has no unescaped !'()* */
const strict = (url: string): string => url.replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
/** As a part of a URL that may be several segments of its path: what `http` steps send. */
export const inUrl = (text: string): string => strict(encodeURIComponent(text)).replaceAll('%2F', '/')
const inForm = (text: string): string => new URLSearchParams([['', text]]).toString().slice(1)
const bothCases = (url: string): string[] => [url, url.replace(/%[0-9A-F]{2}/g, (hex) => hex.toLowerCase())]
const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
const inHtml = (text: string): string => text.replace(/[&<>"']/g, (char) => ENTITIES[char] ?? char)

/** What Base64 of a longer text that has the secret in it always shows of it, when `before` bytes (modulo 3) stand before it. */
function insideBase64(secret: Buffer, before: number): string[] {
  const text = Buffer.concat([Buffer.alloc(before), secret]).toString('base64')
  const from = Math.ceil((before * 8) / 6)
  const to = Math.floor(((before + secret.length) * 8) / 6)
  const sure = text.slice(from, to)
  return [sure, sure.replaceAll('+', '-').replaceAll('/', '_')]
}
