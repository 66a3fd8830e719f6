import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { isAlive, pidIn, temporaryDirectory } from './house.ts'

test('when the worker is killed, its handler processes die within a second, idle or in for (;;) {}', async () => {
  const directory = await temporaryDirectory()
  const pidFiles = ['a', 'b'].map((name) => join(directory, name))
  const parent = fork(join(import.meta.dirname, 'parent.ts'), pidFiles, { execArgv: [] })
  onTestFinished(() => void parent.kill('SIGKILL'))
  const [idle] = (await once(parent, 'message')) as [{ text: string }]
  const pids = [Number(idle.text), ...(await vi.waitFor(() => pidFiles.map(pidIn), 5_000))]
  expect(pids.map(isAlive)).toEqual([true, true, true])

  parent.kill('SIGKILL')
  await once(parent, 'exit')
  await vi.waitFor(() => expect(pids.map(isAlive)).toEqual([false, false, false]), 2_000)
})
