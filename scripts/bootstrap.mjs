/**
 * The first thing that runs, on any Node from 18 on and with nothing installed: installs what is missing, then hands over to the
 * Node that the project needs. `bootstrap.mjs start ...`, `bootstrap.mjs test ...`, `bootstrap.mjs run <file> ...`.
 */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const NEEDED_NODE = 24
const root = dirname(dirname(fileURLToPath(import.meta.url)))
const modules = join(root, 'node_modules')
const stamp = join(modules, '.sluice-installed')

const [task, ...rest] = process.argv.slice(2)
const command = {
  // half of the usual room for young objects: the idle server takes 165 MB instead of 190
  start: () => ['--max-semi-space-size=8', join(root, 'src', 'main.ts'), 'start', ...rest],
  test: () => [join(root, 'scripts', 'run-tests.mjs'), ...rest],
  run: () => rest,
}[task]
if (command === undefined || (task === 'run' && rest.length === 0)) {
  console.error('usage: node scripts/bootstrap.mjs start [...] | test [...] | run <file> [...]')
  process.exit(64)
}
await install()
handOver(findNode(), command())

/** `npm ci`, only when the lockfile is not the one that was installed last. */
async function install() {
  const wanted = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex')
  const installed = existsSync(stamp) ? readFileSync(stamp, 'utf8') : undefined
  if (installed === wanted) return
  // Without its stamp, an install that is stopped half-way is begun again.
  rmSync(stamp, { force: true })
  const began = Date.now()
  const code = await npmCi()
  if (code !== 0) process.exit(code)
  writeFileSync(stamp, wanted)
  console.error(`Dependencies installed in ${((Date.now() - began) / 1000).toFixed(1)} s.`)
}

/** One line that shows it is alive; what npm says is shown when it fails. */
function npmCi() {
  const interactive = process.stderr.isTTY
  process.stderr.write('Installing dependencies (once, about a minute) ...' + (interactive ? '' : '\n'))
  const dots = interactive ? setInterval(() => process.stderr.write('.'), 1_000) : undefined
  // `npm start` puts the Node in node_modules first, which is about to be removed.
  const path = (process.env.PATH ?? '').split(delimiter).filter((entry) => !entry.startsWith(modules))
  const npm = spawn('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, PATH: path.join(delimiter) },
  })
  let said = ''
  for (const stream of [npm.stdout, npm.stderr]) stream.on('data', (text) => (said += text))
  return new Promise((resolve) => {
    npm.once('error', (error) => {
      said = `npm could not be run: ${error.message}\n`
      resolve(1)
    })
    npm.once('close', (code) => {
      clearInterval(dots)
      if (interactive) process.stderr.write('\n')
      if (code !== 0) process.stderr.write(said)
      resolve(code ?? 1)
    })
  })
}

/** The Node that came by npm, else the one that runs this, when it is new enough. */
function findNode() {
  const own = join(modules, '.bin', 'node')
  if (existsSync(own)) return own
  if (Number(process.versions.node.split('.')[0]) >= NEEDED_NODE) return process.execPath
  console.error(
    `Sluice needs Node ${NEEDED_NODE} on this machine (this is ${process.versions.node}): install it from nodejs.org and try again.`,
  )
  process.exit(1)
}

/**
 * Runs `node ...args` in our place. The child is in a process group of its own, so that Ctrl-C reaches it once, through us. Should
 * we be killed, the child sees its channel to us close (`parent-watch.mjs`) and drains.
 */
function handOver(node, args) {
  const watch = join(root, 'scripts', 'parent-watch.mjs')
  const child = spawn(node, ['--import', watch, ...args], {
    cwd: process.cwd(),
    // compiled code is kept: a start costs a third less, and some memory too
    env: { NODE_COMPILE_CACHE: join(modules, '.cache', 'node-compile'), ...process.env },
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    detached: true,
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR2']) process.on(signal, () => child.kill(signal))
  child.once('error', (error) => {
    console.error(`${node} could not be run: ${error.message}`)
    process.exit(1)
  })
  child.once('exit', (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)))
}
