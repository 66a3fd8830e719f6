/** One topic under way: counts what is tried and what gets through, and looks after each topic whether the server still serves. */
import type { World } from './world.ts'

/** What got through, in a sentence; undefined when the attack was held off. */
export type Outcome = string | undefined

export interface Trial {
  readonly world: World
  /** fewer samples, smaller floods: for CI */
  readonly quick: boolean
  /** One attack. What it throws counts as got through: nobody can say that it did not. */
  attempt(what: string, attack: () => Promise<Outcome>): Promise<void>
}

export interface Topic {
  readonly name: string
  /** what is tried, in a line */
  readonly about: string
  /** needs a server with the limits that it has when nobody sets any */
  readonly limited?: boolean
  run(trial: Trial): Promise<void>
}

export interface Verdict {
  readonly topic: string
  readonly tried: number
  readonly through: readonly string[]
  readonly ms: number
}

/** A server that is busy with an attack still has to answer others in this time. */
const SERVES_WITHIN_MS = 3_000

export async function hold(topic: Topic, world: World, quick: boolean): Promise<Verdict> {
  const through: string[] = []
  let tried = 0
  const began = performance.now()
  const trial: Trial = {
    world,
    quick,
    async attempt(what, attack) {
      tried += 1
      const outcome = await attack().catch((error: unknown) => `it could not be judged: ${String(error)}`)
      if (outcome !== undefined) through.push(`${what}: ${outcome}`)
    },
  }
  await topic.run(trial)
  await trial.attempt('the server afterwards', async () => {
    const response = await fetch(`${world.client.url}/health/live`, { signal: AbortSignal.timeout(SERVES_WITHIN_MS) })
    return response.ok ? undefined : `it answers ${response.status}`
  })
  return { topic: topic.name, tried, through, ms: performance.now() - began }
}

/** The code of the first top-level error; `NONE` when there is none. */
export const codeOf = ({ errors }: { errors: readonly { extensions?: Record<string, unknown> }[] }): string =>
  errors.length === 0 ? 'NONE' : String(errors[0]!.extensions?.['code'])

/** Held when it is one of these. */
export const expectCode = (answer: Parameters<typeof codeOf>[0], ...codes: string[]): Outcome =>
  codes.includes(codeOf(answer)) ? undefined : `answered ${codeOf(answer)} instead of ${codes.join(' or ')}`
