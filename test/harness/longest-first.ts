/** The order of files in a run: those that take longest begin first, so that none of them is left for the end, alone. */
import { BaseSequencer } from 'vitest/node'
import type { TestSpecification } from 'vitest/node'

/** From 30 s on, by what they took on two cores. Whatever is not named here comes after them, larger files first. */
const LONGEST = [
  'app/killing',
  'attack/suite',
  'app/killing-calls',
  'drill/drill',
  'app/finished-costs',
  'audit/kills',
  'engine/kill-points',
  'app/backup',
  'clients/agent',
  'app/revocation',
  'app/feeds',
  'server/fuzz',
  'app/roll-out',
  'engine/random-kills',
  'app/audit-command',
  'app/start-order',
  'clients/feed',
  'server/slow-clients',
].map((name) => `/test/${name}.faults.ts`)

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    return sorted.toSorted((a, b) => placeOf(a) - placeOf(b))
  }
}

function placeOf({ moduleId }: TestSpecification): number {
  const place = LONGEST.findIndex((name) => moduleId.endsWith(name))
  return place === -1 ? LONGEST.length : place
}
