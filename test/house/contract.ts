/** What clients rely on: names that are never taken away without having been deprecated first. Adding is free. */

/** Per type its fields: `name`, with arguments `name(first after)`, with its type `name: Type` where that is fixed too. */
export const CONTRACT: Readonly<Record<string, readonly string[]>> = {
  Query: [
    'viewer: Viewer',
    'node(id): Node',
    'nodes(ids)',
    'flow(id name): Flow',
    'flows(filter orderBy first after last before): FlowConnection!',
    'execution(id): Execution',
    'executions(filter orderBy first after last before): ExecutionConnection!',
    'auditEvents(filter first after last before): AuditEventConnection!',
    'auditVerification(after first): AuditVerification!',
    'securityEvents(filter first after last before): SecurityEventConnection!',
    'agentRequests(filter orderBy first after last before): AgentRequestConnection!',
  ],
  Mutation: [
    'signIn(input): SignInResult!',
    'refreshSession(input): SignInResult!',
    'createFlow(input): CreateFlowResult!',
    'publishFlowVersion(input): PublishFlowVersionResult!',
    'validateFlow(input): FlowValidation!',
    'startExecution(input): StartExecutionResult!',
    'cancelExecution(input): CancelExecutionResult!',
    'pauseExecution(input): PauseExecutionResult!',
    'resumeExecution(input): ResumeExecutionResult!',
    'retryExecution(input): RetryExecutionResult!',
    'signalExecution(input): SignalExecutionResult!',
    'answerAgentRequest(input): AnswerAgentRequestResult!',
  ],
  Subscription: [
    'executionFeed(id after): ExecutionFeedFrame!',
    'executionsFeed(filter after): ExecutionsFeedFrame!',
    'agentRequestsFeed(role after): AgentRequestsFeedFrame!',
    'auditFeed(filter after): AuditFeedFrame!',
  ],

  SignInInput: ['email', 'password'],
  SignInSuccess: ['accessToken', 'accessTokenExpiresAt', 'refreshToken', 'viewer'],
  CreateFlowInput: ['definition: JSON!', 'visibility'],
  CreateFlowSuccess: ['flow: Flow!'],
  PublishFlowVersionInput: ['flowId: ID!', 'definition: JSON!', 'expectedVersion: Int!'],
  FlowValidation: ['valid: Boolean!', 'issues: [Issue!]!', 'warnings: [Issue!]!'],
  StartExecutionInput: ['flow: String!', 'input: JSON', 'idempotencyKey', 'labels', 'priority', 'startAt', 'waitMs'],
  StartExecutionSuccess: ['execution: Execution!', 'replayed: Boolean!'],
  SignalExecutionInput: ['id: ID!', 'signal: String!', 'data: JSON', 'idempotencyKey'],
  AnswerAgentRequestInput: ['id: ID!', 'decision: AgentDecision!', 'data: JSON', 'idempotencyKey'],
  AgentDecision: ['APPROVE', 'REJECT', 'ANSWER'],

  Problem: ['code: ProblemCode!', 'message: String!', 'path: [String!]'],
  Issue: ['code', 'message', 'path', 'hint'],
  ValidationProblem: ['issues: [Issue!]!'],
  NotFoundProblem: [],
  StaleVersionProblem: ['currentVersion'],
  LimitReachedProblem: ['retryAfterMs'],
  IdempotencyMismatchProblem: [],
  IllegalStateProblem: [],
  AmbiguousProblem: [],

  FeedFrame: ['cursor: String!'],
  FeedSnapshot: ['cursor: String!', 'execution: Execution!'],
  FeedDelta: ['cursor: String!', 'events: [ExecutionEvent!]!', 'steps: [StepRun!]!', 'execution: Execution!'],
  FeedHeartbeat: ['cursor: String!', 'serverTime: DateTime!'],
  FeedGap: ['cursor: String!', 'reason: FeedReason!'],
  FeedEnd: ['cursor: String!', 'reason: FeedReason!', 'execution: Execution!'],
  FeedClosed: ['cursor: String!', 'reason: FeedReason!'],
  ExecutionsSnapshot: ['cursor: String!', 'executions: [Execution!]!'],
  ExecutionsDelta: ['cursor: String!', 'executions: [Execution!]!', 'left: [ID!]!'],
  AgentRequestsSnapshot: ['cursor: String!', 'requests: [AgentRequest!]!'],
  AgentRequestsDelta: ['cursor: String!', 'requests: [AgentRequest!]!'],
  AuditSnapshot: ['cursor: String!', 'events: [AuditEvent!]!'],
  AuditDelta: ['cursor: String!', 'events: [AuditEvent!]!'],
  FeedReason: ['FINISHED', 'ACCESS_REVOKED', 'TOKEN_EXPIRED', 'DRAINING'],

  Execution: [
    ...['id', 'status', 'flow', 'flowVersion', 'input', 'state', 'output', 'error', 'initiator', 'labels: [Label!]!', 'priority'],
    ...['progress', 'reason', 'retryOf', 'routeTaken', 'completedSteps', 'currentSteps', 'waitingFor', 'startedAt'],
    ...['finishedAt', 'durationMs: Float', 'version', 'feedCursor', 'lastSeq', 'steps', 'picture'],
    'events(after first): [ExecutionEvent!]!',
  ],
  ExecutionStatus: ['PENDING', 'RUNNING', 'WAITING', 'PAUSED', 'SUCCEEDED', 'FAILED', 'CANCELED', 'TIMED_OUT'],
  ExecutionError: ['code', 'message', 'step'],
  ExecutionProgress: ['total', 'finished', 'failed', 'skipped', 'running'],
  StepRun: [
    ...['id', 'path', 'name', 'type', 'status', 'attempt', 'startedAt', 'finishedAt', 'error', 'input', 'output', 'waitingFor'],
    ...['counts', 'items(filter first after)'],
  ],
  ExecutionEvent: ['seq', 'type', 'at', 'step', 'path', 'attempt', 'data'],
  AgentRequest: [
    ...['id', 'role', 'subject', 'request', 'status', 'execution', 'step', 'deadlineAt', 'answeredBy', 'answer', 'version'],
  ],
}

/** Which of these are not there yet, and the area of work that brings them. */
export const LATER: Readonly<Record<string, string>> = {
  'Mutation.retryExecution': 'engine',
}

/** Environment names and their defaults; undefined = unset. */
export const ENVIRONMENT: Readonly<Record<string, string | undefined>> = {
  PORT: '4000',
  HOST: '127.0.0.1',
  DATABASE_URL: undefined,
  REDIS_URL: undefined,
  SLUICE_DATA_DIR: '.sluice',
  SLUICE_JWT_SECRET: undefined,
  SLUICE_SECRETS_KEY: undefined,
  SLUICE_ADMIN_EMAIL: 'admin@sluice.local',
  SLUICE_ADMIN_PASSWORD: undefined,
  CORS_ALLOWED_ORIGINS: 'http://localhost:3000,http://internal-dashboard',
  SLUICE_LIMIT_API_PER_MINUTE: '100',
  SLUICE_LIMIT_SIGN_IN_PER_MINUTE: '5',
  SLUICE_LIMIT_FLOW_WRITES_PER_MINUTE: '10',
  SLUICE_LIMIT_RUNNING_PER_INITIATOR: '100',
  SLUICE_LEASE_MS: '10000',
  SLUICE_METRICS_PORT: undefined,
  NODE_ENV: 'development',
}
