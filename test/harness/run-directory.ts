/**
 * The directory of a run: everything that its tests put on the disk lies in it, and everything that they start is told of it. So what
 * a run leaves is found and ended, also when it was killed.
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const PREFIX = 'sluice-test-'
const END = join(import.meta.dirname, 'end-run-process.ts')

export interface RunDirectory {
  readonly path: string
  /** Ends what was left in it and removes it. */
  end(): Promise<void>
  /** It stays, with what runs in it. */
  keep(): void
}

export async function makeRunDirectory(): Promise<RunDirectory> {
  await endKilledRuns()
  const path = await mkdtemp(join(tmpdir(), `${PREFIX}${process.pid}-`))
  // PostgreSQL, which refuses root, walks through it
  await chmod(path, 0o711)
  const before = process.env['TMPDIR']
  process.env['TMPDIR'] = path
  // a group of its own, so that Ctrl-C does not reach it
  const watch = spawn(process.execPath, [END, path, '--when-gone'], { detached: true, stdio: ['pipe', 'ignore', 'inherit'] })
  watch.unref()
  const exited = once(watch, 'exit')
  // Told to end by a signal, vitest exits at once: whoever waits for that finds nothing left.
  const onExit = (): void => void spawnSync(process.execPath, [END, path])
  process.once('exit', onExit)

  function leave(): void {
    process.off('exit', onExit)
    if (before === undefined) delete process.env['TMPDIR']
    else process.env['TMPDIR'] = before
  }
  return {
    path,
    async end() {
      leave()
      watch.ref()
      watch.stdin.end('over')
      await exited
    },
    keep() {
      leave()
      watch.kill('SIGKILL')
    },
  }
}

/** Where the watch was killed too: by the next run. */
async function endKilledRuns(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const [, pid] = new RegExp(`^${PREFIX}(\\d+)-`).exec(name) ?? []
    if (pid === undefined || isAlive(Number(pid))) continue
    await once(spawn(process.execPath, [END, join(tmpdir(), name)], { stdio: 'inherit' }), 'exit')
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
