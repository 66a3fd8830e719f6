/**
 * `npm run check`: everything that must hold before a change is shared, in this order; stops at the first that fails.
 * `npm run check format lint` runs only these; `--keep-going` does not stop. `npm run fix` mends what can be mended by a program.
 */
import { spawnSync } from 'node:child_process'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

interface Stage {
  /** a program of `node_modules/.bin` or a script of ours, and its arguments */
  readonly run: readonly string[]
  /** the same, mending */
  readonly fix?: readonly string[]
}

const root = fileURLToPath(new URL('..', import.meta.url))
const bin = join(root, 'node_modules', '.bin')
const program = (name: string, ...args: string[]): string[] => [join(bin, name), ...args]
const script = (name: string, ...args: string[]): string[] => [join(root, 'scripts', name), ...args]

/** CI runs them beside the long suite: four threads, of which each looks at what they share for itself, take twice the time of one. */
const beside = process.env['CI'] !== undefined

const STAGES: Readonly<Record<string, Stage>> = {
  format: { run: program('oxfmt', '--check', '.'), fix: program('oxfmt', '.') },
  lint: { run: program('oxlint'), fix: program('oxlint', '--fix') },
  secrets: { run: program('secretlint', '--maskSecrets', '**/*') },
  types: { run: program('tsc', '-p', root, ...(beside ? ['--singleThreaded'] : [])) },
  // for browsers: without Node's types
  clients: { run: program('tsc', '-p', join(root, 'clients', 'feed'), '--noEmit') },
  agents: { run: program('tsc', '-p', join(root, 'clients', 'agent'), '--noEmit') },
  schema: { run: script('schema.ts', '--check'), fix: script('schema.ts') },
  codegen: {
    run: program('graphql-codegen', '--config', 'codegen.ts', '--check'),
    fix: program('graphql-codegen', '--config', 'codegen.ts'),
  },
  requirements: { run: script('requirements.ts', '--check'), fix: script('requirements.ts') },
  house: { run: script('run-tests.mjs', 'test/house') },
  dead: { run: program('knip', '--no-progress') },
  tests: { run: script('run-tests.mjs') },
}

const options = new Set(process.argv.slice(2).filter((argument) => argument.startsWith('--')))
const wanted = process.argv.slice(2).filter((argument) => !argument.startsWith('--'))
const unknown = wanted.filter((name) => !(name in STAGES))
if (unknown.length > 0) {
  console.error(`There is no check ${unknown.join(', ')}: they are ${Object.keys(STAGES).join(', ')}.`)
  process.exit(64)
}

for (const [name, stage] of Object.entries(STAGES)) {
  const args = options.has('--fix') ? stage.fix : stage.run
  if (args === undefined || (wanted.length > 0 && !wanted.includes(name))) continue
  if (runs(name, args)) continue
  if (stage.fix !== undefined && !options.has('--fix')) console.log('`npm run fix` may mend it.')
  process.exitCode = 1
  if (!options.has('--keep-going')) break
}

/** One line, and what it said only when it failed. */
function runs(name: string, args: readonly string[]): boolean {
  const began = performance.now()
  // The programs begin with `#!/usr/bin/env node`: that has to be this node.
  const env = { ...process.env, PATH: `${bin}${delimiter}${process.env['PATH']}`, ...(beside && { GOMAXPROCS: '1' }) }
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: root, env, encoding: 'utf8', maxBuffer: 64 << 20 })
  console.log(`${status === 0 ? 'ok    ' : 'FAILED'}  ${name.padEnd(12)} ${((performance.now() - began) / 1000).toFixed(1)} s`)
  if (status !== 0) console.log(`${stdout}${stderr}`)
  return status === 0
}
