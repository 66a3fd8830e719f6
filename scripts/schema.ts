/** Writes `schema.graphql` from the schema that the code builds; with `--check` writes nothing and fails when it is out of date. */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { printSchema } from '../src/api/schema.ts'

const file = fileURLToPath(new URL('../schema.graphql', import.meta.url))

if (!process.argv.includes('--check')) writeFileSync(file, printSchema())
else if (readFileSync(file, 'utf8') !== printSchema()) {
  console.error('schema.graphql is out of date: run `npm run schema`')
  process.exitCode = 1
}
