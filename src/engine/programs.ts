/** The programs of flow versions: compiled once against the allow-list of this process, kept while they are used (A1). */
import type { Database } from '../database/database.ts'
import type { Problem } from '../errors.ts'
import { Fault, problem } from '../errors.ts'
import { compile } from '../language/compile.ts'
import type { Program } from '../language/program.ts'
import type { AllowList } from '../language/values.ts'
import { SCHEMA_LEVEL } from '../release.ts'

/** A program of ten steps takes some tens of kilobytes. */
const MOST_KEPT = 1000

/** A newer release wrote something that this one cannot read; processes of that one can. */
export class OfNewerRelease extends Fault {
  constructor() {
    super('UNAVAILABLE', 'A newer release of Sluice wrote this, which this process cannot read.')
  }
}

export interface Programs {
  /** Throws OfNewerRelease. */
  get(flowVersionId: string): Promise<Program | Problem>
}

/** Pools are not judged: what waits for one that is not on the list any more goes on waiting. */
export function createPrograms(database: Database, allow: AllowList): Programs {
  // in order of use: the first is the one not used for longest
  const kept = new Map<string, Promise<Program | Problem>>()

  async function load(flowVersionId: string): Promise<Program | Problem> {
    const [row] = await database.query<{ definition: unknown; level: number | null }>(
      'select definition, level from sluice.flow_versions where id = $1',
      [flowVersionId],
    )
    if (!row) return problem('NOT_FOUND')
    const compiled = compile(row.definition, { ...allow, pools: undefined })
    if ('issues' in compiled && row.level !== null && row.level > SCHEMA_LEVEL.level) throw new OfNewerRelease()
    return 'program' in compiled ? compiled.program : problem('VALIDATION', { issues: compiled.issues })
  }

  return {
    get(flowVersionId) {
      let program = kept.get(flowVersionId)
      kept.delete(flowVersionId)
      if (!program) {
        program = load(flowVersionId)
        program.catch(() => kept.delete(flowVersionId))
        if (kept.size >= MOST_KEPT) kept.delete(kept.keys().next().value!)
      }
      kept.set(flowVersionId, program)
      return program
    },
  }
}
