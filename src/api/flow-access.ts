/** Who may do what on a flow besides its owner: sharing, un-sharing, giving away. */
import type { FlowGrant as FlowGrantRow } from '../identity/entities/flow-grant.ts'
import { isProblem } from '../errors.ts'
import { encodeId } from '../ids.ts'
import { grantFlowAccess } from '../operations/flows/grant-flow-access.ts'
import { actionOf } from '../operations/permissions.ts'
import type { FlowAction as FlowActionName } from '../operations/permissions.ts'
import { revokeFlowAccess } from '../operations/flows/revoke-flow-access.ts'
import { transferFlowOwnership } from '../operations/flows/transfer-flow-ownership.ts'
import type { Role as RoleName } from '../identity/principal.ts'
import { builder } from './builder.ts'
import { given } from './given.ts'
import { loadersOf } from './loaders.ts'
import { mutation } from './mutation.ts'
import { uuidOf } from './node-ids.ts'
import { Flow } from './refs.ts'
import { Role, User } from './viewer.ts'

const FlowAction = builder.enumType('FlowAction', {
  description: 'What can be granted on a flow; each holds those before it. Viewers only see, whatever is granted.',
  values: {
    VIEW: { description: 'See it.' },
    EXECUTE: { description: 'Start it; as an agent, answer what it asks that role.' },
    EDIT: { description: 'Publish new versions of it, and describe it.' },
    MANAGE: { description: 'Share it, see all its executions, and answer what it asks.' },
  } satisfies Record<FlowActionName, { description: string }>,
})

/** What stands behind the colon of a grantee. */
const partOf = ({ grantee }: FlowGrantRow, kind: string): string | null =>
  grantee.startsWith(`${kind}:`) ? grantee.slice(kind.length + 1) : null

const FlowGrant = builder.objectRef<FlowGrantRow>('FlowGrant').implement({
  description: 'What somebody may do on a flow that is not theirs. It is for a user, a role, an agent role or everyone.',
  fields: (t) => ({
    id: t.id({ description: 'Its id, for `revokeFlowAccess`.', resolve: ({ id }) => encodeId('flowGrant', id) }),
    action: t.field({ type: FlowAction, description: 'What they may do.', resolve: ({ level }) => actionOf(level) }),
    user: t.field({ type: User, nullable: true, description: 'The user it is for.', resolve: ({ userId }) => userId }),
    role: t.field({
      type: Role,
      nullable: true,
      description: 'The role it is for.',
      resolve: (grant) => partOf(grant, 'role') as RoleName | null,
    }),
    agentRole: t.string({
      nullable: true,
      description: 'The agent role it is for.',
      resolve: (grant) => partOf(grant, 'agent'),
    }),
    everyone: t.boolean({
      description: 'Whether it is for all people who sign in, and their keys.',
      resolve: ({ grantee }) => grantee === 'everyone',
    }),
    grantedBy: t.field({ type: User, nullable: true, description: 'Who granted it.', resolve: ({ grantedBy }) => grantedBy }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was first granted.' }),
  }),
})

builder.objectField(Flow, 'allowed', (t) =>
  t.field({
    type: [FlowAction],
    description: 'What you may do on it.',
    resolve: ({ id }, _args, call) => loadersOf(call).allowedActions.load(id),
  }),
)

builder.objectField(Flow, 'grants', (t) =>
  t.field({
    type: [FlowGrant],
    nullable: true,
    description: 'Everybody it is shared with; null unless you manage it.',
    resolve: ({ id }, _args, call) => loadersOf(call).flowGrants.load(id),
  }),
)

const Grantee = builder.inputType('GranteeInput', {
  description: 'Whom a grant is for: exactly one of these.',
  isOneOf: true,
  fields: (t) => ({
    user: t.string({ description: 'Somebody, by id or handle.' }),
    role: t.field({ type: Role, description: 'Everybody of this role.' }),
    agentRole: t.string({ description: 'Agents of this role.' }),
    everyone: t.boolean({ description: 'All people who sign in, and their keys; agents are named by their roles alone.' }),
  }),
})

const FlowGrantInput = builder.inputType('FlowGrantInput', {
  description: 'Whom to grant what.',
  fields: (t) => ({
    to: t.field({ type: Grantee, required: true, description: 'Whom.' }),
    action: t.field({ type: FlowAction, required: true, description: 'What they may do, with all that it holds.' }),
  }),
})

const sharedFlow = 'The flow as it is now.'

mutation('grantFlowAccess', {
  description: 'Shares a flow that you manage: all of the list, or nothing. A new grant takes the place of an old one.',
  scopes: { may: 'FLOWS_SHARE' },
  input: (t) => ({
    flowId: t.id({ required: true, description: 'The flow.' }),
    grants: t.field({ type: [FlowGrantInput], required: true, description: 'Whom to grant what, 1 to 100.' }),
  }),
  resolve: (call, { flowId, grants }) =>
    grantFlowAccess(call, {
      flowId: uuidOf('flow', flowId),
      grants: grants.map(({ to, action }) => ({ to: given(to), action })),
    }),
  success: (t) => ({ flow: t.field({ type: Flow, description: sharedFlow, resolve: ({ flow }) => flow }) }),
  problems: ['VALIDATION', 'NOT_FOUND', 'LIMIT_REACHED'],
})

mutation('revokeFlowAccess', {
  description:
    'Takes grants of a flow that you manage away: all of the list, or nothing. What stood on them alone is closed within a second.',
  scopes: { may: 'FLOWS_SHARE' },
  input: (t) => ({
    flowId: t.id({ required: true, description: 'The flow.' }),
    grantIds: t.idList({ required: true, description: 'The grants, 1 to 100; all of this flow.' }),
  }),
  resolve: (call, { flowId, grantIds }) =>
    revokeFlowAccess(call, {
      flowId: uuidOf('flow', flowId),
      grantIds: grantIds.map((id) => uuidOf('flowGrant', id)),
    }),
  success: (t) => ({ flow: t.field({ type: Flow, description: sharedFlow, resolve: ({ flow }) => flow }) }),
  problems: ['VALIDATION', 'NOT_FOUND'],
})

mutation('transferFlowOwnership', {
  description: 'Gives a flow of yours to somebody else. You keep nothing of it but the executions you started.',
  scopes: { signedIn: true },
  input: (t) => ({
    flowId: t.id({ required: true, description: 'The flow.' }),
    to: t.string({ required: true, description: 'Who takes it over, by id or handle.' }),
    expectedVersion: t.int({ required: true, description: "The flow's `version` as you read it." }),
  }),
  resolve: async (call, { flowId, ...rest }) => {
    const flow = await transferFlowOwnership(call, { ...rest, flowId: uuidOf('flow', flowId) })
    return isProblem(flow) ? flow : { flow }
  },
  success: (t) => ({ flow: t.field({ type: Flow, description: 'The flow as it went.', resolve: ({ flow }) => flow }) }),
  problems: ['VALIDATION', 'NOT_FOUND', 'STALE_VERSION', 'LIMIT_REACHED'],
})
