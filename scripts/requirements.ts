/** Writes into `docs/requirements.md`: the tests that prove each requirement. `--check` only tells whether it is right. */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { provenBy } from '../test/house/titles.ts'
import { withProofs } from '../test/house/requirement-list.ts'

const file = fileURLToPath(new URL('../docs/requirements.md', import.meta.url))
const text = readFileSync(file, 'utf8')
const right = withProofs(text, provenBy())

if (!process.argv.includes('--check')) writeFileSync(file, right)
else if (text !== right) {
  console.error('docs/requirements.md is out of date: run `npm run requirements`')
  process.exitCode = 1
}
