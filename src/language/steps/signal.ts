/** `signal` in a definition: waits for named signals, also for those that came before it. */
import { z } from 'zod'
import { commonFields, name, text, type AnyStep } from '../any-step.ts'
import type { Condition } from '../values.ts'
import type { StepCompiler, StepLanguage } from './step-language.ts'

/** of one step */
const MAX_NAMES = 20

export interface SignalStep extends AnyStep {
  readonly type: 'signal'
  /** names of signals, each at most once */
  readonly signals: readonly string[]
  /** how many of the names: `any` (one, the default), `all`, or a number */
  readonly need?: 'any' | 'all' | number
  /** a condition over `signal.name`, `signal.data` and `signal.sentBy`; signals that do not fulfil it are left for others */
  readonly where?: string
}
export interface SignalSpec {
  type: 'signal'
  signals: readonly string[]
  need: number
  where?: Condition
}

export const signal: StepLanguage<SignalStep, SignalSpec> = {
  schema: z.strictObject({
    ...commonFields,
    type: z.literal('signal').describe('Waits for named signals, also for those that came before it.'),
    signals: z.array(name).min(1).max(MAX_NAMES).describe('The names of the signals that it waits for.'),
    need: z
      .union([z.enum(['any', 'all']), z.int().min(1)], { error: 'must be "any", "all" or a number' })
      .optional()
      .describe('How many of the names: any (one), all, or a number; any unless given.'),
    where: text
      .optional()
      .describe('A condition over signal.name, signal.data and signal.sentBy; others are left where they are.'),
  }),
  compile(step, compiler) {
    checkSignals(step.signals, compiler)
    const need = typeof step.need === 'number' ? step.need : step.need === 'all' ? step.signals.length : 1
    if (need > step.signals.length)
      compiler.issues.add('INVALID_VALUE', [...compiler.path, 'need'], `there are only ${step.signals.length} names`)
    const where = step.where === undefined ? undefined : compiler.seeing(['signal']).condition(step.where, 'where')
    return { type: 'signal', signals: step.signals, need, ...(where && { where }) }
  },
}

function checkSignals(signals: readonly string[], compiler: StepCompiler): void {
  for (const [i, one] of signals.entries()) {
    compiler.signals.add(one)
    if (compiler.checkName(one, 'signals', String(i)) && signals.indexOf(one) < i)
      compiler.issues.add('DUPLICATE', [...compiler.path, 'signals', String(i)], `${one} is named twice`)
  }
}
