/**
 * `npm run check:dependencies`: what is known against the packages that we use, by the registry's advisories. It needs the
 * registry, so it reports and is no test: 1 = something high or critical, 0 = nothing such, 69 = the registry does not tell.
 */
import { spawnSync } from 'node:child_process'

interface Audit {
  metadata?: { vulnerabilities: Record<string, number>; dependencies: { total: number } }
  vulnerabilities?: Record<string, { name: string; severity: string; range: string; fixAvailable: unknown }>
  message?: string
}

const UNAVAILABLE = 69

const { stdout } = spawnSync('npm', ['audit', '--json', ...process.argv.slice(2)], { encoding: 'utf8', maxBuffer: 1 << 28 })
const audit = parsed(stdout)
if (!audit.metadata) {
  console.error(
    `The registry gives no advisories (${audit.message ?? 'no answer'}): ask another by \`npm audit --registry ...\`.`,
  )
  process.exitCode = UNAVAILABLE
} else {
  const found = Object.values(audit.vulnerabilities ?? {})
  for (const { name, severity, range, fixAvailable } of found)
    console.log(`${severity.padEnd(9)} ${name} ${range}${fixAvailable ? '  (a fixed version is there)' : ''}`)
  console.log(`${found.length} of ${audit.metadata.dependencies.total} packages have advisories.`)
  if (found.some(({ severity }) => severity === 'high' || severity === 'critical')) process.exitCode = 1
}

function parsed(text: string): Audit {
  try {
    return JSON.parse(text) as Audit
  } catch {
    return {}
  }
}
