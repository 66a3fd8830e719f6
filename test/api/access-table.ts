/**
 * Who gets what from every root field, about one private flow of `owner` and an execution of it that `owner` started.
 *
 *   + it is done, or refused for what was sent      . as if it were not there (null, empty, not found)
 *   f FORBIDDEN                                     u UNAUTHENTICATED
 *
 * The columns, in four groups: people (anonymous, a viewer, a user, the owner, an administrator) | people whom the owner granted
 * VIEW, EXECUTE, EDIT, MANAGE, and an agent of the role that is asked, granted EXECUTE | keys of the owner, each with one scope:
 * FLOWS_READ FLOWS_WRITE FLOWS_SHARE EXECUTIONS_READ EXECUTIONS_WRITE REQUESTS_READ REQUESTS_ANSWER LINKS_WRITE AUDIT_READ |
 * links of the owner's to that execution: READ, ANSWER.
 *
 * Nobody here came in by `signIn`: the sessions to end are not there.
 * What is asked changes nothing where it is allowed: writes carry something that is refused after the permission was checked.
 */
export const COLUMNS = [
  ...['anonymous', 'viewer', 'user', 'owner', 'admin', 'VIEW', 'EXECUTE', 'EDIT', 'MANAGE', 'agent'],
  ...['FLOWS_READ', 'FLOWS_WRITE', 'FLOWS_SHARE', 'EXECUTIONS_READ', 'EXECUTIONS_WRITE', 'REQUESTS_READ', 'REQUESTS_ANSWER'],
  ...['LINKS_WRITE', 'AUDIT_READ', 'READ', 'ANSWER'],
] as const
export type Column = (typeof COLUMNS)[number]

/** Ids of what everything is about. */
export interface Fixture {
  flow: string
  execution: string
  /** a schedule of another flow that was granted alike */
  trigger: string
  request: string
  /** of nobody who asks */
  user: string
  key: string
  link: string
}

export interface Row {
  /** the selection of the root field, with its arguments */
  ask: (ids: Fixture) => string
  /** one sign a column; spaces are for the eye */
  cells: string
}

const NODES = 'edges { node { id } }'
const ANY = '__typename'
const LONG = 'x'.repeat(501)

export const TABLE: Readonly<Record<string, Row>> = {
  'Query.viewer': { ask: () => `viewer { id }`, cells: '.++++ ++++. ......... ..' },
  'Query.node': { ask: ({ flow }) => `node(id: "${flow}") { id }`, cells: 'u..++ +++++ +++...... ..' },
  'Query.nodes': { ask: ({ execution }) => `nodes(ids: ["${execution}"]) { id }`, cells: 'u..++ ...+. ...++..+. +.' },
  'Query.flow': { ask: ({ flow }) => `flow(id: "${flow}") { id }`, cells: 'u..++ +++++ +++ffffff ff' },
  'Query.flows': { ask: () => `flows { ${NODES} }`, cells: 'u..++ +++++ +++ffffff ff' },
  'Query.execution': { ask: ({ execution }) => `execution(id: "${execution}") { id }`, cells: 'u..++ ...+. fff++ff+f +f' },
  'Query.planRetry': { ask: ({ execution }) => `planRetry(id: "${execution}") { possible }`, cells: 'u..++ ...+. fff++ff+f +f' },
  'Query.planMigration': { ask: ({ flow }) => `planMigration(flow: "${flow}") { more }`, cells: 'u..++ fff+f +++ffffff ff' },
  'Query.executions': { ask: () => `executions { ${NODES} }`, cells: 'u..++ ...+. fff++ff+f +f' },
  'Query.agentRequests': { ask: () => `agentRequests { ${NODES} }`, cells: 'u..++ ...++ fffff++ff ++' },
  'Query.agentMessageKey': { ask: () => `agentMessageKey`, cells: 'u++++ +++++ fffff++ff ++' },
  'Query.auditEvents': { ask: () => `auditEvents { ${NODES} }`, cells: 'ufff+ fffff fffffffff ff' },
  'Query.auditVerification': { ask: () => `auditVerification { intact }`, cells: 'ufff+ fffff fffffffff ff' },
  'Query.securityEvents': { ask: () => `securityEvents { ${NODES} }`, cells: 'ufff. fffff fffffffff ff' },
  'Query.secrets': { ask: () => `secrets { edges { node { name } } }`, cells: 'u..+. ....f fffffffff ff' },
  'Query.apiKeys': { ask: () => `apiKeys { ${NODES} }`, cells: 'u..++ ....f fffffffff ff' },
  'Query.executionLinks': {
    ask: ({ execution }) => `executionLinks(execution: "${execution}") { ${NODES} }`,
    cells: 'u..++ ...+. fffffff+f ff',
  },
  'Query.users': { ask: () => `users { ${NODES} }`, cells: 'ufff+ fffff fffffffff ff' },
  'Query.limits': { ask: () => `limits { running { running } }`, cells: 'u++++ +++++ fff++ff+f ff' },
  'Query.invariants': { ask: () => `invariants { checkedAt }`, cells: 'ufff+ fffff fffffffff ff' },
  'Query.webhookDeliveries': {
    ask: () => `webhookDeliveries(trigger: "trigger_00000000000000000000000000") { ${NODES} }`,
    cells: 'u.... ..... ...ffffff ff',
  },
  'Query.matchPatterns': {
    ask: () => `matchPatterns(text: "no pattern is like this") { name }`,
    cells: 'u.... ..... ffff.ffff ff',
  },
  'Query.resourceUse': { ask: () => `resourceUse { executions }`, cells: 'ufff. fffff fffffffff ff' },
  'Query.workers': { ask: () => `workers { id }`, cells: 'ufff+ fffff fffffffff ff' },
  'Query.outbox': { ask: () => `outbox { ${ANY} }`, cells: 'ufff. fffff fffffffff ff' },

  'Mutation.signIn': {
    ask: () => `signIn(input: { email: "nobody@example.com", password: "x" }) { ${ANY} }`,
    cells: '+++++ +++++ +++++++++ ++',
  },
  'Mutation.refreshSession': {
    ask: () => `refreshSession(input: { refreshToken: "x" }) { ${ANY} }`,
    cells: '+++++ +++++ +++++++++ ++',
  },
  'Mutation.requestPasswordReset': {
    ask: () => `requestPasswordReset(input: { email: "nobody@example.com" }) { ${ANY} }`,
    cells: '+++++ +++++ +++++++++ ++',
  },
  'Mutation.resetPassword': {
    ask: () => `resetPassword(input: { token: "x", password: "x" }) { ${ANY} }`,
    cells: '+++++ +++++ +++++++++ ++',
  },
  'Mutation.signOut': { ask: () => `signOut(input: {}) { ${ANY} }`, cells: 'u++++ ++++f fffffffff ff' },
  'Mutation.revokeSession': {
    ask: () => `revokeSession(input: { id: "session_x" }) { ${ANY} }`,
    cells: 'u.... ....f fffffffff ff',
  },
  'Mutation.changePassword': {
    ask: () => `changePassword(input: { currentPassword: "x", newPassword: "x" }) { ${ANY} }`,
    cells: 'u++++ ++++f fffffffff ff',
  },
  'Mutation.createUser': {
    ask: () => `createUser(input: { email: "x", handle: "X", name: "", password: "x", role: USER }) { ${ANY} }`,
    cells: 'ufff+ fffff fffffffff ff',
  },
  'Mutation.updateUser': {
    ask: ({ user }) => `updateUser(input: { id: "${user}", expectedVersion: 0, disabled: true }) { ${ANY} }`,
    cells: 'ufff+ fffff fffffffff ff',
  },
  'Mutation.deleteUser': {
    ask: ({ user }) => `deleteUser(input: { id: "${user}", expectedVersion: 0 }) { ${ANY} }`,
    cells: 'ufff+ fffff fffffffff ff',
  },

  'Mutation.createFlow': { ask: () => `createFlow(input: { definition: {} }) { ${ANY} }`, cells: 'uf+++ ++++f f+fffffff ff' },
  'Mutation.validateFlow': { ask: () => `validateFlow(input: { definition: {} }) { valid }`, cells: 'u++++ +++++ f+fffffff ff' },
  'Mutation.simulateFlow': {
    ask: () => `simulateFlow(input: { definition: {}, case: {} }) { ${ANY} }`,
    cells: 'uf+++ ++++f f+fffffff ff',
  },
  'Mutation.publishFlowVersion': {
    ask: ({ flow }) =>
      `publishFlowVersion(input: { flowId: "${flow}", expectedVersion: 0, definition: ${DEFINITION} }) { ${ANY} }`,
    cells: 'u..++ ff++f f+fffffff ff',
  },
  'Mutation.updateFlow': {
    ask: ({ flow }) => `updateFlow(input: { flowId: "${flow}", expectedVersion: 0, visibility: PUBLIC }) { ${ANY} }`,
    cells: 'u..++ fff+f f+fffffff ff',
  },
  'Mutation.grantFlowAccess': {
    ask: ({ flow }) => `grantFlowAccess(input: { flowId: "${flow}", grants: [] }) { ${ANY} }`,
    cells: 'u..++ fff+f ff+ffffff ff',
  },
  'Mutation.revokeFlowAccess': {
    ask: ({ flow }) => `revokeFlowAccess(input: { flowId: "${flow}", grantIds: [] }) { ${ANY} }`,
    cells: 'u..++ fff+f ff+ffffff ff',
  },
  'Mutation.transferFlowOwnership': {
    ask: ({ flow, user }) => `transferFlowOwnership(input: { flowId: "${flow}", to: "${user}", expectedVersion: 0 }) { ${ANY} }`,
    cells: 'u..++ fffff fffffffff ff',
  },

  'Mutation.replayWebhookDelivery': {
    ask: () => `replayWebhookDelivery(input: { id: "delivery_00000000000000000000000000" }) { ${ANY} }`,
    cells: 'u.... ..... ffff.ffff ff',
  },
  'Mutation.dispatch': {
    ask: () => `dispatch(input: { text: "no pattern is like this" }) { ${ANY} }`,
    cells: 'u.... ..... ffff.ffff ff',
  },
  'Mutation.startExecution': {
    ask: ({ flow }) => `startExecution(input: { flow: "${flow}", waitMs: -1 }) { ${ANY} }`,
    cells: 'u..++ f++++ ffff+ffff ff',
  },
  'Mutation.cancelExecution': {
    ask: ({ execution }) => `cancelExecution(input: { id: "${execution}", reason: "${LONG}" }) { ${ANY} }`,
    cells: 'u..++ ...f. ffff+ffff ff',
  },
  'Mutation.pauseExecution': {
    ask: ({ execution }) => `pauseExecution(input: { id: "${execution}", reason: "${LONG}" }) { ${ANY} }`,
    cells: 'u..++ ...f. ffff+ffff ff',
  },
  'Mutation.resumeExecution': {
    ask: ({ execution }) => `resumeExecution(input: { id: "${execution}", reason: "${LONG}" }) { ${ANY} }`,
    cells: 'u..++ ...f. ffff+ffff ff',
  },
  'Mutation.cancelExecutions': {
    ask: () => `cancelExecutions(input: { filter: {}, reason: "${LONG}" }) { ${ANY} }`,
    cells: 'uf+++ +++++ ffff+ffff ff',
  },
  'Mutation.pauseExecutions': {
    ask: () => `pauseExecutions(input: { filter: {}, reason: "${LONG}" }) { ${ANY} }`,
    cells: 'uf+++ +++++ ffff+ffff ff',
  },
  'Mutation.resumeExecutions': {
    ask: () => `resumeExecutions(input: { filter: {}, reason: "${LONG}" }) { ${ANY} }`,
    cells: 'uf+++ +++++ ffff+ffff ff',
  },
  'Mutation.retryExecutions': {
    ask: () => `retryExecutions(input: { filter: {}, reason: "${LONG}" }) { ${ANY} }`,
    cells: 'uf+++ +++++ ffff+ffff ff',
  },
  'Mutation.retryExecution': {
    ask: ({ execution }) => `retryExecution(input: { id: "${execution}", reason: "${LONG}" }) { ${ANY} }`,
    cells: 'u..++ ...f. ffff+ffff ff',
  },
  'Mutation.migrateExecutions': {
    ask: ({ flow }) => `migrateExecutions(input: { flow: "${flow}", first: 0 }) { ${ANY} }`,
    cells: 'u..++ fff+f ffff+ffff ff',
  },
  'Mutation.signalExecution': {
    ask: ({ execution }) => `signalExecution(input: { id: "${execution}", signal: "" }) { ${ANY} }`,
    cells: 'u..++ ...+. ffff+ffff ff',
  },
  'Mutation.pauseSchedule': {
    ask: ({ trigger }) => `pauseSchedule(input: { id: "${trigger}", reason: "${LONG}" }) { ${ANY} }`,
    cells: 'u..++ fff+f f+fffffff ff',
  },
  'Mutation.resumeSchedule': {
    ask: ({ trigger }) => `resumeSchedule(input: { id: "${trigger}" }) { ${ANY} }`,
    cells: 'u..++ fff+f ffff+ffff ff',
  },
  'Mutation.runScheduleNow': {
    ask: ({ trigger }) => `runScheduleNow(input: { id: "${trigger}", idempotencyKey: "" }) { ${ANY} }`,
    cells: 'u..++ fff+f ffff+ffff ff',
  },
  'Mutation.backfillSchedule': {
    ask: ({ trigger }) =>
      `backfillSchedule(input: { id: "${trigger}", from: "2030-01-02T00:00:00Z", to: "2030-01-01T00:00:00Z" }) { ${ANY} }`,
    cells: 'u..++ fff+f ffff+ffff ff',
  },
  'Mutation.answerAgentRequest': {
    ask: ({ request }) => `answerAgentRequest(input: { id: "${request}", decision: APPROVE, idempotencyKey: "" }) { ${ANY} }`,
    cells: 'u..++ ...++ ffffff+ff f+',
  },
  'Mutation.answerAgentRequests': {
    ask: ({ request }) =>
      `answerAgentRequests(input: { answers: [{ id: "${request}", decision: APPROVE, idempotencyKey: "" }] }) { ${ANY} }`,
    cells: 'u++++ +++++ ffffff+ff f+',
  },
  'Mutation.delegateApproval': {
    ask: ({ request }) => `delegateApproval(input: { id: "${request}", to: "" }) { ${ANY} }`,
    cells: 'u..++ ...+f fffffffff ff',
  },
  'Mutation.createApiKey': {
    ask: () => `createApiKey(input: { name: "", scopes: [] }) { ${ANY} }`,
    cells: 'u++++ ++++f fffffffff ff',
  },
  'Mutation.revokeApiKey': {
    ask: ({ key }) => `revokeApiKey(input: { id: "${key}" }) { ${ANY} }`,
    cells: 'u..++ ....f fffffffff ff',
  },
  'Mutation.setSecret': {
    ask: () => `setSecret(input: { name: "", value: "" }) { ${ANY} }`,
    cells: 'uf+++ ++++f fffffffff ff',
  },
  'Mutation.deleteSecret': {
    ask: () => `deleteSecret(input: { name: "of_the_owner", expectedVersion: 0 }) { ${ANY} }`,
    cells: 'uf.+. ....f fffffffff ff',
  },
  'Mutation.createExecutionLink': {
    ask: ({ execution }) => `createExecutionLink(input: { executionId: "${execution}", may: READ, lifetime: "PT1S" }) { ${ANY} }`,
    cells: 'u..++ ...+. fffffff+f ff',
  },
  'Mutation.revokeExecutionLink': {
    ask: ({ link }) => `revokeExecutionLink(input: { id: "${link}" }) { ${ANY} }`,
    cells: 'u..++ ...+. fffffff+f ff',
  },

  'Subscription.executionFeed': {
    ask: ({ execution }) => `executionFeed(id: "${execution}") { ${ANY} }`,
    cells: 'u..++ ...+. fff++ff+f +f',
  },
  'Subscription.executionsFeed': {
    ask: () => `executionsFeed { ... on ExecutionsSnapshot { executions { id } } }`,
    cells: 'u..++ ...+. fff++ff+f +f',
  },
  'Subscription.agentRequestsFeed': {
    ask: () => `agentRequestsFeed { ... on AgentRequestsSnapshot { requests { id } } }`,
    cells: 'u..++ ...++ fffff++ff ++',
  },
  'Subscription.auditFeed': { ask: () => `auditFeed { ${ANY} }`, cells: 'ufff+ fffff fffffffff ff' },
}

const DEFINITION = '{ name: "asked of", steps: { ask: { type: "agent", role: "ceo", subject: "May we?", request: {} } } }'
