/** The pre-commit hook: looks for secrets in what is about to be committed, which may differ from what lies in the directory. */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const git = (...args: string[]): string => execFileSync('git', args, { encoding: 'utf8', maxBuffer: 1 << 28 })
const root = git('rev-parse', '--show-toplevel').trimEnd()
const staged = git('diff', '--cached', '--name-only', '--diff-filter=ACMRT', '-z')

if (staged !== '') {
  const copy = mkdtempSync(join(tmpdir(), 'sluice-staged-'))
  try {
    const options = { cwd: root, input: staged }
    execFileSync('git', ['checkout-index', '-z', '--stdin', `--prefix=${copy}/`], options)
    const secretlint = join(root, 'node_modules', 'secretlint', 'bin', 'secretlint.js')
    const config = ['--secretlintrc', join(root, '.secretlintrc.json'), '--secretlintignore', join(root, '.secretlintignore')]
    const { status } = spawnSync(process.execPath, [secretlint, ...config, '--maskSecrets', `${copy}/**/*`], {
      cwd: root,
      stdio: ['ignore', 'inherit', 'inherit'],
    })
    if (status !== 0) {
      console.error(
        'This looks like a secret: take it out, and change it where it is in use. `git commit --no-verify` commits it all the same.',
      )
      process.exitCode = 1
    }
  } finally {
    rmSync(copy, { recursive: true, force: true })
  }
}
