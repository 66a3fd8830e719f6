/** How the agents of the example decide about `feature_approval`: by rules, where yours may ask a model or a person. */
import type { AgentRequest, Answer } from '../../clients/agent/agent.ts'

/** What the flow asks. */
interface Asked {
  readonly feature: string
  readonly analysis: { readonly complexity: number }
}

export const RULES: Readonly<Record<string, (asked: Asked) => Answer>> = {
  ceo: ({ feature, analysis: { complexity } }) =>
    complexity > 8
      ? { decision: 'REJECT', data: { why: `${feature} is expensive and complex` } }
      : { decision: 'APPROVE', data: { why: `${feature} is expensive, but simple enough` } },
  cto: ({ feature, analysis: { complexity } }) =>
    complexity >= 10
      ? { decision: 'REJECT', data: { why: `nobody can build ${feature}` } }
      : { decision: 'APPROVE', data: { why: `${feature} can be built` } },
}

/** Undefined: there is no rule for the role, and another agent may know. */
export const decide = ({ role, body }: AgentRequest): Answer | undefined => RULES[role]?.(body as Asked)
