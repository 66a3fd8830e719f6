/** How long this thread has worked, whoever else has the machine: what bounds on work are measured with. */

/** ms of processor time since the thread began. */
export function cpuMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}
