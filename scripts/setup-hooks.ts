/** `npm run setup:hooks`: has git run the hooks of `.githooks` in this clone; hooks that are there already are left as they are. */
import { execFileSync, spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { resolve } from 'node:path'

const HOOKS = '.githooks'
const configured = spawnSync('git', ['config', 'core.hooksPath'], { encoding: 'utf8' }).stdout.trim()
const directory = execFileSync('git', ['rev-parse', '--git-path', 'hooks'], { encoding: 'utf8' }).trim()
const own = configured === HOOKS ? [] : listed(directory).filter((name) => !name.endsWith('.sample'))

if ((configured !== '' && configured !== HOOKS) || own.length > 0) {
  console.error(`Git runs other hooks here already (${directory}): call ${resolve(HOOKS, 'pre-commit')} from its pre-commit.`)
  process.exitCode = 1
} else {
  execFileSync('git', ['config', 'core.hooksPath', HOOKS])
  console.log('Commits are looked through for secrets from now on.')
}

function listed(path: string): string[] {
  try {
    return readdirSync(path)
  } catch {
    return []
  }
}
