/** `docs/requirements.md` as data. */

export interface Requirement {
  readonly id: string
  readonly what: string
  /** the area of work that brings what is missing */
  readonly later?: string
  /** as it stands there: `` `api/a.test.ts`, `live/b.test.ts` `` */
  readonly proofs: string
}

/** An item of the list, and its line of files. */
const ITEM = /^- \*\*([A-E]\d+)\*\* (.*)\n(?: {2}(`.*)\n)?/gm

export const readRequirements = (text: string): Requirement[] =>
  [...text.matchAll(ITEM)].map(([, id = '', what = '', proofs = '']) => {
    const later = / Later: (.+)\.$/.exec(what)?.[1]
    return { id, what, proofs, ...(later !== undefined && { later }) }
  })

/** The text with the lines of files as they should be; `proofs`: id -> paths. */
export const withProofs = (text: string, proofs: ReadonlyMap<string, readonly string[]>): string =>
  text.replaceAll(ITEM, (_item, id: string, what: string) => {
    const files = (proofs.get(id) ?? []).map((path) => `\`${path.replace(/^test\//, '')}\``)
    return `- **${id}** ${what}\n${files.length > 0 ? `  ${files.join(', ')}\n` : ''}`
  })
