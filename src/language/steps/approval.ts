/** `approval` in a definition: asks people, as many as it takes, and shows them what they decide on. */
import { z } from 'zod'
import { commonFields, json, name, text, type AnyStep } from '../any-step.ts'
import type { Json, Template } from '../values.ts'
import type { StepLanguage } from './step-language.ts'

const DEFAULT_TIMEOUT_MS = 7 * 86_400_000
/** Votes are kept with the execution until it is decided: so many of each kind at most. */
const MAX_VOTES = 20
/** Of one step. */
export const MAX_APPROVERS = 50

/** Viewers only see. */
const APPROVER_ROLES = ['ADMIN', 'USER'] as const
type ApproverRole = (typeof APPROVER_ROLES)[number]

export interface ApprovalStep extends AnyStep {
  readonly type: 'approval'
  readonly subject: string
  /** shown to them; the decision is bound to it */
  readonly data?: Json
  /** people of these roles who may start the flow */
  readonly roles?: readonly ApproverRole[]
  /** handles or ids of people, or an expression that gives a list of them */
  readonly users?: readonly string[] | string
  /** how many must approve; 1 */
  readonly quorum?: number
  /** how many rejections end it; 1 */
  readonly rejects?: number
  /** whether who started the execution may vote; false */
  readonly selfApproval?: boolean
}
export interface ApprovalSpec {
  type: 'approval'
  subject: Template
  data: Template
  roles: readonly ApproverRole[]
  /** texts, or one list of texts */
  users: Template
  quorum: number
  rejects: number
  selfApproval: boolean
}

const votes = z.int().min(1).max(MAX_VOTES).optional()

export const approval: StepLanguage<ApprovalStep, ApprovalSpec> = {
  schema: z.strictObject({
    ...commonFields,
    type: z.literal('approval').describe('Asks people and counts their votes.'),
    subject: text.describe('What it is about, in one line; may hold ${{ }}.'),
    data: json.optional().describe('What they decide on; texts in it may hold ${{ }}.'),
    roles: z.array(z.enum(APPROVER_ROLES)).min(1).optional().describe('People of these roles who may start the flow.'),
    users: z
      .union([z.array(name).min(1).max(MAX_APPROVERS), text], { error: 'must be a list of handles or ids' })
      .optional()
      .describe('Handles or ids of people, or an expression that gives a list of them.'),
    quorum: votes.describe('How many must approve; 1 unless given.'),
    rejects: votes.describe('How many rejections end it; 1 unless given.'),
    selfApproval: z.boolean().optional().describe('Whether who started the execution may vote; false unless given.'),
  }),
  timeout: { otherwiseMs: DEFAULT_TIMEOUT_MS },
  compile(step, compiler) {
    const { roles = [], users = [], quorum = 1, rejects = 1, selfApproval = false } = step
    const { issues, path } = compiler
    if (roles.length === 0 && users.length === 0) issues.add('REQUIRED', path, 'an approval names roles or users')
    if (new Set(roles).size < roles.length) issues.add('DUPLICATE', [...path, 'roles'], 'a role is named twice')
    if (typeof users === 'string' && !isExpression(users))
      issues.add('INVALID_VALUE', [...path, 'users'], 'must be a list, or an expression that gives one')
    if (Array.isArray(users) && roles.length === 0 && quorum > users.length)
      issues.add('INVALID_VALUE', [...path, 'quorum'], `only ${users.length} are asked`)
    return {
      type: 'approval',
      subject: compiler.text(step.subject, 'subject'),
      data: compiler.template(step.data ?? {}, 'data'),
      users: compiler.template(users as Json, 'users'),
      ...{ roles, quorum, rejects, selfApproval },
    }
  },
  given: (spec) => spec.data,
}

const isExpression = (text: string): boolean => text.startsWith('${{') && text.endsWith('}}')
