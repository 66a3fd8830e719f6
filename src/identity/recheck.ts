/** What is open and stands on a principal (sockets, feeds): looked at again when something it stands on changes, all affected at once. */
import type { Logger } from '../log.ts'
import { isAffected } from './auth-changes.ts'
import type { AuthChanges, AuthSubject } from './auth-changes.ts'

export interface RecheckOptions<Member, Verdict> {
  readonly onAuthChange: AuthChanges['onAuthChange']
  /** all that are open, as of now */
  readonly members: Iterable<Member>
  subjectsOf(member: Member): readonly AuthSubject[]
  /** called at once, before anything is asked */
  doubt(member: Member): void
  /** One question for all of them; verdicts in their order. */
  ask(members: readonly Member[]): Promise<readonly Verdict[]>
  /** Called unless something changed again meanwhile: then a later verdict comes. */
  settle(member: Member, verdict: Verdict): void
  readonly log: Logger
}

export function recheckOnChange<Member, Verdict>(options: RecheckOptions<Member, Verdict>) {
  const { members, subjectsOf, doubt, ask, settle, log } = options
  const doubted = new Set<Member>()
  let running: Promise<void> | undefined

  async function askOnce(): Promise<void> {
    const asked = [...doubted]
    doubted.clear()
    try {
      const verdicts = await ask(asked)
      for (const [index, member] of asked.entries()) if (!doubted.has(member)) settle(member, verdicts[index]!)
    } catch (error) {
      for (const member of asked) doubted.add(member)
      throw error
    }
  }

  async function run(): Promise<void> {
    try {
      while (doubted.size > 0) await askOnce()
    } catch (error) {
      log.warn({ err: error }, 'what is open could not be rechecked')
    }
    running = undefined
  }
  const runOnce = async (): Promise<void> => {
    if (doubted.size > 0) await (running ??= run())
  }

  function add(member: Member): void {
    doubt(member)
    doubted.add(member)
  }

  options.onAuthChange((changed) => {
    for (const member of members) if (isAffected(changed, subjectsOf(member))) add(member)
    void runOnce()
  })

  return {
    /** Doubts a member whatever happened, and asks. */
    recheck(member: Member): void {
      add(member)
      void runOnce()
    },
    /** Asks again for those that could not be answered for; to be called every now and then. Never rejects. */
    runOnce,
  }
}
