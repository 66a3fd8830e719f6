/** Flows and their versions: reading, listing, creating, publishing. */
import { Fault, isProblem } from '../errors.ts'
import type { Problem } from '../errors.ts'
import { createFlow } from '../operations/flows/create-flow.ts'
import { getFlow } from '../operations/flows/find-flow.ts'
import { listFlows } from '../operations/flows/list-flows.ts'
import { publishFlowVersion } from '../operations/flows/publish-flow-version.ts'
import { updateFlow } from '../operations/flows/update-flow.ts'
import { validateFlow } from '../operations/flows/validate-flow.ts'
import type { FlowValidation } from '../operations/flows/validate-flow.ts'
import { builder } from './builder.ts'
import { connectionCost, connectionTypes, readPage } from './connection.ts'
import { given } from './given.ts'
import { loadersOf } from './loaders.ts'
import { mutation } from './mutation.ts'
import { uuidOf } from './node-ids.ts'
import { orderType } from './order.ts'
import { pictureField } from './picture.ts'
import { IssueType } from './problems.ts'
import { Flow, FlowVersion } from './refs.ts'
import { User } from './viewer.ts'
import { worstCaseOfValidation, worstCaseOfVersion } from './worst-case.ts'

const Visibility = builder.enumType('FlowVisibility', {
  description: 'Who may see and start a flow besides its owner and administrators.',
  values: { PRIVATE: { description: 'Nobody.' }, PUBLIC: { description: 'Everybody who is signed in.' } },
})

Flow.implement({
  description: 'A named program, owned by someone. What it does is in its versions.',
  fields: (t) => ({
    name: t.exposeString('name', { description: "Unique among its owner's flows." }),
    description: t.exposeString('description', { nullable: true, description: 'What it is for.' }),
    visibility: t.field({ type: Visibility, description: 'Who may see and start it.', resolve: (flow) => flow.visibility }),
    owner: t.field({
      type: User,
      nullable: true,
      description: 'Whose it is; null when the account is gone.',
      resolve: (flow) => flow.ownerId,
    }),
    latestVersion: t.field({
      type: FlowVersion,
      description: 'What executions start with now.',
      resolve: (flow, _args, call) => loadersOf(call).newestVersions.load(flow),
    }),
    version: t.exposeInt('version', { description: 'Grows with every edit; send it as `expectedVersion`.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was created.' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'When it was last edited.' }),
    picture: pictureField(
      t,
      'Its newest version as a picture.',
      async (flow, call) => (await loadersOf(call).newestVersions.load(flow)).id,
    ),
  }),
})

FlowVersion.implement({
  description: 'One immutable definition of a flow.',
  fields: (t) => ({
    number: t.exposeInt('number', { description: 'Counts from 1.' }),
    flow: t.field({ type: Flow, nullable: true, description: 'Whose version it is.', resolve: (version) => version.flowId }),
    definition: t.field({
      type: 'JSON',
      nullable: true,
      description: 'The definition, as it was published.',
      complexity: 20,
      resolve: (version, _args, call) => loadersOf(call).definitions.load(version.id),
    }),
    createdBy: t.field({
      type: User,
      nullable: true,
      description: 'Who published it; null when the account is gone.',
      resolve: (version) => version.createdBy,
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was published.' }),
    picture: pictureField(t, 'It as a picture.', (version) => version.id),
    worstCase: worstCaseOfVersion(t),
  }),
})

builder.queryField('flow', (t) =>
  t.field({
    type: Flow,
    nullable: true,
    authScopes: { may: 'FLOWS_READ' },
    description: 'One flow, by its id or its name; null when there is none, or none that you may see. Give one of the two.',
    args: {
      id: t.arg.id({ description: 'Its id.' }),
      name: t.arg.string({
        description: '`"x"` is yours, else the only one that you can see; `"owner/x"` names the owner by handle.',
      }),
    },
    resolve: async (_root, { id, name }, call) => {
      if ((id == null) === (name == null)) throw new Fault('BAD_REQUEST', 'Give either `id` or `name`.')
      return orNull(await getFlow(call, name == null ? { id: uuidOf('flow', id!) } : { name }))
    },
  }),
)

/** A query answers null for what is not there, and an error for what cannot be told apart. */
function orNull<T>(found: T | Problem): T | null {
  if (!isProblem(found)) return found
  if (found.problem !== 'AMBIGUOUS') return null
  throw new Fault('AMBIGUOUS', found.message, { extensions: { candidates: found.candidates } })
}

const FlowFilter = builder.inputType('FlowFilter', {
  description: 'Which flows; all that is given must hold.',
  fields: (t) => ({
    name: t.string({ description: 'Exactly this name, whoever owns it.' }),
    owner: t.string({ description: "The owner's handle." }),
    visibility: t.field({ type: Visibility, description: 'Who may see them.' }),
  }),
})

builder.queryField('flows', (t) =>
  t.connection(
    {
      type: Flow,
      authScopes: { may: 'FLOWS_READ' },
      description: 'The flows that you may see.',
      complexity: connectionCost,
      args: {
        filter: t.arg({ type: FlowFilter, description: 'Which ones.' }),
        orderBy: t.arg({
          type: orderType('FlowOrder', 'flows'),
          required: true,
          defaultValue: 'NEWEST_FIRST',
          description: 'In which order.',
        }),
      },
      resolve: (_root, args, call) =>
        readPage(
          'Flow',
          args,
          (page) => listFlows(call, given(args.filter), page),
          (flow) => flow.id,
          args.orderBy,
        ),
    },
    ...connectionTypes(Flow, 'Flow'),
  ),
)

mutation('createFlow', {
  description: 'Creates a flow of yours with its first version. Issues of the definition have paths that lead into it.',
  scopes: { may: 'FLOWS_WRITE' },
  input: (t) => ({
    definition: t.field({
      type: 'JSON',
      required: true,
      description: 'What the flow does; its `name` becomes the name of the flow.',
    }),
    visibility: t.field({ type: Visibility, description: 'Who may see and start it; PRIVATE unless you say otherwise.' }),
  }),
  resolve: async (call, { definition, visibility }) => {
    const flow = await createFlow(call, { definition, visibility: visibility ?? undefined })
    return isProblem(flow) ? flow : { flow }
  },
  success: (t) => ({ flow: t.field({ type: Flow, description: 'The new flow.', resolve: ({ flow }) => flow }) }),
  problems: ['VALIDATION', 'LIMIT_REACHED'],
})

mutation('publishFlowVersion', {
  description: 'Publishes a new version of a flow. Executions that run keep the version they began with.',
  scopes: { may: 'FLOWS_WRITE' },
  input: (t) => ({
    flowId: t.id({ required: true, description: 'The flow.' }),
    definition: t.field({ type: 'JSON', required: true, description: 'What the flow does from now on; its `name` stays.' }),
    expectedVersion: t.int({ required: true, description: "The flow's `version` as you read it." }),
  }),
  resolve: (call, { flowId, definition, expectedVersion }) =>
    publishFlowVersion(call, { flowId: uuidOf('flow', flowId), definition, expectedVersion }),
  success: (t) => ({
    flow: t.field({ type: Flow, description: 'The flow as it is now.', resolve: ({ flow }) => flow }),
    flowVersion: t.field({ type: FlowVersion, description: 'The new version.', resolve: ({ flowVersion }) => flowVersion }),
  }),
  problems: ['VALIDATION', 'NOT_FOUND', 'STALE_VERSION', 'LIMIT_REACHED'],
})

mutation('updateFlow', {
  description: 'Changes what is said about a flow, and who may see it.',
  scopes: { may: 'FLOWS_WRITE' },
  input: (t) => ({
    flowId: t.id({ required: true, description: 'The flow.' }),
    expectedVersion: t.int({ required: true, description: "The flow's `version` as you read it." }),
    visibility: t.field({ type: Visibility, description: 'Who may see and start it; as it is when not given.' }),
    description: t.string({
      description: 'What it is for, at most 500 characters; null takes it away, as it is when not given.',
    }),
  }),
  resolve: async (call, { flowId, expectedVersion, visibility, description }) => {
    const edit = { flowId: uuidOf('flow', flowId), expectedVersion, visibility: visibility ?? undefined, description }
    const flow = await updateFlow(call, edit)
    return isProblem(flow) ? flow : { flow }
  },
  success: (t) => ({ flow: t.field({ type: Flow, description: 'The flow as it is now.', resolve: ({ flow }) => flow }) }),
  problems: ['VALIDATION', 'NOT_FOUND', 'STALE_VERSION', 'LIMIT_REACHED'],
})

const Validation = builder.objectRef<FlowValidation>('FlowValidation').implement({
  description: 'What is wrong or doubtful with a definition. Paths lead into it, key by key.',
  fields: (t) => ({
    valid: t.exposeBoolean('valid', { description: 'Whether a flow can be made of it, whatever the warnings.' }),
    issues: t.field({ type: [IssueType], description: 'Everything that is wrong.', resolve: ({ issues }) => [...issues] }),
    warnings: t.field({
      type: [IssueType],
      description: 'What works, but is probably not meant.',
      resolve: ({ warnings }) => [...warnings],
    }),
    worstCase: worstCaseOfValidation(t),
  }),
})

const ValidateFlowInput = builder.inputType('ValidateFlowInput', {
  description: 'What `validateFlow` takes.',
  fields: (t) => ({ definition: t.field({ type: 'JSON', required: true, description: 'What a flow would do.' }) }),
})

builder.mutationField('validateFlow', (t) =>
  t.field({
    type: Validation,
    authScopes: { may: 'FLOWS_WRITE' },
    description: 'Tells everything that is wrong or doubtful with a definition. Writes nothing.',
    complexity: 10,
    args: { input: t.arg({ type: ValidateFlowInput, required: true, description: 'What it takes.' }) },
    resolve: (_root, { input }, call) => validateFlow(call, { definition: input.definition }),
  }),
)
