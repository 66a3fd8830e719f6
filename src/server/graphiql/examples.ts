/** The worked examples that GraphiQL opens with, one a tab: from signing in to the history of an execution. */

export interface Example {
  readonly query: string
  readonly variables?: string
}

const example = (query: string, variables?: Record<string, unknown>): Example => ({
  query: `${query.trim()}\n`,
  variables: variables && JSON.stringify(variables, null, 2),
})

export const EXAMPLES: readonly Example[] = [
  example(`
# 1. Sign in. The server's first lines say where
#    the administrator's password lies. From then
#    on this page sends the token, in every tab.
#    (Or put { "authorization": "Bearer ..." }
#    into Headers.)
mutation SignIn {
  signIn(input: {
    email: "admin@sluice.local"
    password: ""
  }) {
    ... on SignInSuccess {
      accessTokenExpiresAt
      accessToken
      viewer { handle role }
    }
    ... on Problem { code message }
  }
}`),
  example(`
# 2. Start an execution. A cost over 1,000,000
#    goes to the ceo, a complexity over 8 to the
#    cto, anything else is approved at once.
mutation Start {
  startExecution(input: {
    flow: "feature_approval"
    input: {
      feature_name: "Live dashboards"
      estimated_cost: 2000000
      complexity: 5
    }
  }) {
    ... on StartExecutionSuccess {
      execution { id status }
    }
    ... on ValidationProblem {
      issues { path message hint }
    }
    ... on Problem { code message }
  }
}`),
  example(
    `
# 3. Watch it live. An empty executionId means
#    the one that this page saw last. (To go on
#    watching while you answer, duplicate this tab
#    of your browser.)
subscription Watch($executionId: ID!) {
  executionFeed(id: $executionId) {
    __typename
    ... on FeedFrame { cursor }
    ... on FeedSnapshot {
      execution { status currentSteps }
    }
    ... on FeedDelta {
      events { seq type step }
      execution {
        status currentSteps completedSteps
      }
    }
    ... on FeedEnd {
      execution { status output }
    }
  }
}`,
    { executionId: '' },
  ),
  example(`
# 4. Somebody has to decide: who is asked for what?
query OpenRequests {
  agentRequests(filter: { status: OPEN }, first: 1) {
    edges {
      node { id role subject request deadlineAt }
    }
  }
}`),
  example(
    `
# 5. Answer for the ceo. An empty requestId means
#    the one that this page saw last.
mutation Answer($requestId: ID!) {
  answerAgentRequest(input: {
    id: $requestId
    decision: APPROVE
    data: { comment: "Go." }
  }) {
    ... on AnswerAgentRequestSuccess {
      agentRequest { status decision }
    }
    ... on Problem { code message }
  }
}`,
    { requestId: '' },
  ),
  example(
    `
# 6. Read its history.
query History($executionId: ID!) {
  execution(id: $executionId) {
    status
    routeTaken
    completedSteps
    output
    events(first: 100) { seq type at step }
  }
}`,
    { executionId: '' },
  ),
]
