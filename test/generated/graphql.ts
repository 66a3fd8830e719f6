/* eslint-disable */
/** Internal type. DO NOT USE DIRECTLY. */
type Exact<T extends { [key: string]: unknown }> = { [K in keyof T]: T[K] };
/** Internal type. DO NOT USE DIRECTLY. */
export type Incremental<T> = T | { [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never };
import type { TypedDocumentNode as DocumentNode } from '@graphql-typed-document-node/core';
/** One of many answers. */
export type AgentAnswer = {
  /** Whatever belongs to the answer, at most 1,000,000 bytes. */
  data?: unknown;
  /** Of an approval, which needs it: the `dataHash` of what was shown to whoever decides. */
  dataHash?: string | null | undefined;
  /** What the answer says. */
  decision: AgentDecision;
  /** The agent request. */
  id: string | number;
  /** Of two calls with the same key and answer only the first counts; both get the same result. 1 to 200 characters. */
  idempotencyKey?: string | null | undefined;
};

/** What an answer says. Each is a success of the step; its output has the decision. */
export type AgentDecision =
  /** Neither: what was asked for is in `data`. */
  | 'ANSWER'
  /** Yes. */
  | 'APPROVE'
  /** No. */
  | 'REJECT';

/** How an agent request is. */
export type AgentRequestStatus =
  /** It has its answer. */
  | 'ANSWERED'
  /** Its execution ended before it was answered. */
  | 'CANCELED'
  /** It is a notice, which wants no answer. */
  | 'DELIVERED'
  /** Nobody answered in time. */
  | 'EXPIRED'
  /** It waits for its answer. */
  | 'OPEN';

/** What `answerAgentRequest` takes. */
export type AnswerAgentRequestInput = {
  /** Whatever belongs to the answer, at most 1,000,000 bytes. */
  data?: unknown;
  /** Of an approval, which needs it: the `dataHash` of what was shown to whoever decides. */
  dataHash?: string | null | undefined;
  /** What the answer says. */
  decision: AgentDecision;
  /** The agent request. */
  id: string | number;
  /** Of two calls with the same key and answer only the first counts; both get the same result. 1 to 200 characters. */
  idempotencyKey?: string | null | undefined;
};

/** How an execution is. SUCCEEDED, FAILED, CANCELED and TIMED_OUT are final. */
export type ExecutionStatus =
  /** Somebody ended it; `reason` says why. */
  | 'CANCELED'
  /** It ended by a failure; `error` says which. */
  | 'FAILED'
  /** Somebody paused it; `reason` says why. */
  | 'PAUSED'
  /** It has not begun. */
  | 'PENDING'
  /** Steps of it run, or are about to. */
  | 'RUNNING'
  /** It ended well and has its output. */
  | 'SUCCEEDED'
  /** It did not end within the timeout of its flow. */
  | 'TIMED_OUT'
  /** Nothing of it runs; `waitingFor` says what for. */
  | 'WAITING';

/** A key-value tag on an execution. */
export type LabelInput = {
  /** 1 to 63 characters. */
  key: string;
  /** 1 to 255 characters. */
  value: string;
};

/** What kind of problem it is. */
export type ProblemCode =
  /** Several things have this name; use `owner/name` or the id. */
  | 'AMBIGUOUS'
  /** This idempotency key was used with another input. */
  | 'IDEMPOTENCY_MISMATCH'
  /** Not possible in the present state. */
  | 'ILLEGAL_STATE'
  /** A limit is reached; try again after `retryAfterMs`. */
  | 'LIMIT_REACHED'
  /** There is no such thing, or none that you may see. */
  | 'NOT_FOUND'
  /** It was changed meanwhile; read it again and repeat with `currentVersion`. */
  | 'STALE_VERSION'
  /** The input or state is over its limit; the message names size and limit. */
  | 'STATE_TOO_LARGE'
  /** The credentials are not valid. */
  | 'UNAUTHENTICATED'
  /** The input does not fit; `issues` lists every problem with its path. */
  | 'VALIDATION';

/** What `startExecution` takes. */
export type StartExecutionInput = {
  /** The id or the name of the flow: `"x"` or `"owner/x"`. */
  flow: string;
  /** Of two calls with the same key and input only the first starts something; both get the same answer. 1 to 200 characters. */
  idempotencyKey?: string | null | undefined;
  /** An object of at most 1,000,000 bytes that fits the flow's schema; `{}` when not given. */
  input?: unknown;
  /** At most 20 tags to find it by. */
  labels?: Array<LabelInput> | null | undefined;
  /** From -100 to 100, 0 when not given; higher begins first. */
  priority?: number | null | undefined;
  /** Not before this time. */
  startAt?: string | null | undefined;
  /** Answer when it has ended, but after so many milliseconds at the latest: 0 to 30000. */
  waitMs?: number | null | undefined;
};

/** How a step is. */
export type StepStatus =
  /** Its execution ended before it did. */
  | 'CANCELED'
  /** It has an error. */
  | 'FAILED'
  /** It has not begun. */
  | 'PENDING'
  /** It runs. */
  | 'RUNNING'
  /** Its condition or route, or a step it needed, left it out. */
  | 'SKIPPED'
  /** It has an output. */
  | 'SUCCEEDED'
  /** It waits; `waitingFor` says for what. */
  | 'WAITING';

/** What something waits for. */
export type WaitingKind =
  /** An answer of an agent or a person. */
  | 'AGENT'
  /** The votes of people. */
  | 'APPROVAL'
  /** The end of what still runs; at `until` it is over whatever that does. */
  | 'CANCELING'
  /** The end of a child execution. */
  | 'CHILD'
  /** Somebody who resumes it. */
  | 'PAUSED'
  /** A worker of the pool that the step names, `pool`. */
  | 'POOL'
  /** The next attempt after a failure. */
  | 'RETRY'
  /** Signals; `signals` says which. */
  | 'SIGNAL'
  /** Its turn: as many of its flow run as may; `slot` says behind whom. */
  | 'SLOT'
  /** The `startAt` of its execution. */
  | 'START'
  /** A `wait` step: a time. */
  | 'TIMER'
  /** A worker: none has it, or the one that had it was lost. */
  | 'WORKER';

export type CreateExampleMutationVariables = Exact<{
  definition: unknown;
}>;


export type CreateExampleMutation = { createFlow:
    | { __typename: 'CreateFlowSuccess', flow: { id: string, name: string, version: number, picture: string | null, owner: { handle: string } | null, latestVersion: { id: string, number: number, definition: unknown } } }
    | { __typename: 'LimitReachedProblem' }
    | { __typename: 'ValidationProblem' }
   };

export type StartExampleMutationVariables = Exact<{
  input: StartExecutionInput;
}>;


export type StartExampleMutation = { startExecution:
    | { __typename: 'AmbiguousProblem', code: ProblemCode, message: string, path: Array<string> | null }
    | { __typename: 'IdempotencyMismatchProblem', code: ProblemCode, message: string, path: Array<string> | null }
    | { __typename: 'LimitReachedProblem', code: ProblemCode, message: string, path: Array<string> | null }
    | { __typename: 'NotFoundProblem', code: ProblemCode, message: string, path: Array<string> | null }
    | { __typename: 'StartExecutionSuccess', replayed: boolean, execution: { id: string, status: ExecutionStatus, output: unknown } }
    | { __typename: 'StateTooLargeProblem', code: ProblemCode, message: string, path: Array<string> | null }
    | { __typename: 'ValidationProblem', code: ProblemCode, message: string, path: Array<string> | null, issues: Array<{ code: string, path: Array<string> }> }
   };

export type WatchExampleQueryVariables = Exact<{
  id: string | number;
}>;


export type WatchExampleQuery = { execution: { id: string, status: ExecutionStatus, version: number, lastSeq: number, feedCursor: string, reason: string | null, routeTaken: string | null, completedSteps: Array<string>, currentSteps: Array<string>, durationMs: number | null, priority: number, input: unknown, state: unknown, output: unknown, stateBytes: number, picture: string | null, flow: { name: string } | null, flowVersion: { number: number } | null, initiator: { handle: string } | null, labels: Array<{ key: string, value: string }>, error: { code: string, message: string, step: string | null } | null, retryOf: { id: string } | null, progress: { total: number, finished: number, failed: number, skipped: number, running: number }, waitingFor: { kind: WaitingKind, role: string | null, step: string | null, until: string | null, agentRequest: { id: string, subject: string, request: unknown, status: AgentRequestStatus } | null } | null, steps: Array<{ id: string, path: string, name: string, type: string, status: StepStatus, attempt: number, startedAt: string | null, finishedAt: string | null, output: unknown, error: { code: string } | null, waitingFor: { kind: WaitingKind, role: string | null, agentRequestId: string | null } | null }>, events: Array<{ seq: number, type: string, step: string | null, path: string | null, attempt: number | null, data: unknown }> } | null };

export type AnswerExampleMutationVariables = Exact<{
  input: AnswerAgentRequestInput;
}>;


export type AnswerExampleMutation = { answerAgentRequest:
    | { __typename: 'AnswerAgentRequestSuccess', replayed: boolean, agentRequest: { id: string, status: AgentRequestStatus, decision: AgentDecision | null, answer: unknown, answerBytes: number | null, answeredBy: { handle: string } | null, execution: { id: string } | null } }
    | { __typename: 'IdempotencyMismatchProblem' }
    | { __typename: 'IllegalStateProblem' }
    | { __typename: 'LimitReachedProblem' }
    | { __typename: 'NotFoundProblem' }
    | { __typename: 'StateTooLargeProblem' }
    | { __typename: 'ValidationProblem' }
   };

export type AnswerManyMutationVariables = Exact<{
  answers: Array<AgentAnswer> | AgentAnswer;
}>;


export type AnswerManyMutation = { answerAgentRequests:
    | { __typename: 'AnswerAgentRequestsSuccess', results: Array<{ id: string, ok: boolean, replayed: boolean, code: string | null, issues: Array<{ path: Array<string> }> }> }
    | { __typename: 'ValidationProblem', issues: Array<{ code: string, path: Array<string> }> }
   };

export type PauseAndResumeExampleMutationVariables = Exact<{
  id: string | number;
}>;


export type PauseAndResumeExampleMutation = { pause:
    | { __typename: 'IllegalStateProblem' }
    | { __typename: 'LimitReachedProblem' }
    | { __typename: 'NotFoundProblem' }
    | { __typename: 'PauseExecutionSuccess', execution: { status: ExecutionStatus, reason: string | null, lastSeq: number, events: Array<{ type: string }> } }
    | { __typename: 'ValidationProblem' }
  , resume:
    | { __typename: 'IllegalStateProblem' }
    | { __typename: 'LimitReachedProblem' }
    | { __typename: 'NotFoundProblem' }
    | { __typename: 'ResumeExecutionSuccess', execution: { status: ExecutionStatus, lastSeq: number, events: Array<{ type: string }> } }
    | { __typename: 'ValidationProblem' }
   };


export const CreateExampleDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"CreateExample"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"definition"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"JSON"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"createFlow"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"ObjectValue","fields":[{"kind":"ObjectField","name":{"kind":"Name","value":"definition"},"value":{"kind":"Variable","name":{"kind":"Name","value":"definition"}}},{"kind":"ObjectField","name":{"kind":"Name","value":"visibility"},"value":{"kind":"EnumValue","value":"PUBLIC"}}]}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"__typename"}},{"kind":"InlineFragment","typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"CreateFlowSuccess"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"flow"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"name"}},{"kind":"Field","name":{"kind":"Name","value":"version"}},{"kind":"Field","name":{"kind":"Name","value":"owner"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"handle"}}]}},{"kind":"Field","name":{"kind":"Name","value":"latestVersion"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"number"}},{"kind":"Field","name":{"kind":"Name","value":"definition"}}]}},{"kind":"Field","name":{"kind":"Name","value":"picture"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"format"},"value":{"kind":"EnumValue","value":"MERMAID"}}]}]}}]}}]}}]}}]} as unknown as DocumentNode<CreateExampleMutation, CreateExampleMutationVariables>;
export const StartExampleDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"StartExample"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"StartExecutionInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"startExecution"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"__typename"}},{"kind":"InlineFragment","typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"StartExecutionSuccess"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"replayed"}},{"kind":"Field","name":{"kind":"Name","value":"execution"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"status"}},{"kind":"Field","name":{"kind":"Name","value":"output"}}]}}]}},{"kind":"InlineFragment","typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"Problem"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}},{"kind":"Field","name":{"kind":"Name","value":"path"}}]}},{"kind":"InlineFragment","typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"ValidationProblem"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"issues"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"path"}}]}}]}}]}}]}}]} as unknown as DocumentNode<StartExampleMutation, StartExampleMutationVariables>;
export const WatchExampleDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"WatchExample"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"id"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"ID"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"execution"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"id"},"value":{"kind":"Variable","name":{"kind":"Name","value":"id"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"status"}},{"kind":"Field","name":{"kind":"Name","value":"version"}},{"kind":"Field","name":{"kind":"Name","value":"lastSeq"}},{"kind":"Field","name":{"kind":"Name","value":"feedCursor"}},{"kind":"Field","name":{"kind":"Name","value":"reason"}},{"kind":"Field","name":{"kind":"Name","value":"routeTaken"}},{"kind":"Field","name":{"kind":"Name","value":"completedSteps"}},{"kind":"Field","name":{"kind":"Name","value":"currentSteps"}},{"kind":"Field","name":{"kind":"Name","value":"durationMs"}},{"kind":"Field","name":{"kind":"Name","value":"flow"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"name"}}]}},{"kind":"Field","name":{"kind":"Name","value":"flowVersion"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"number"}}]}},{"kind":"Field","name":{"kind":"Name","value":"initiator"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"handle"}}]}},{"kind":"Field","name":{"kind":"Name","value":"labels"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"key"}},{"kind":"Field","name":{"kind":"Name","value":"value"}}]}},{"kind":"Field","name":{"kind":"Name","value":"priority"}},{"kind":"Field","name":{"kind":"Name","value":"input"}},{"kind":"Field","name":{"kind":"Name","value":"state"}},{"kind":"Field","name":{"kind":"Name","value":"output"}},{"kind":"Field","name":{"kind":"Name","value":"stateBytes"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}},{"kind":"Field","name":{"kind":"Name","value":"step"}}]}},{"kind":"Field","name":{"kind":"Name","value":"retryOf"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}}]}},{"kind":"Field","name":{"kind":"Name","value":"progress"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"total"}},{"kind":"Field","name":{"kind":"Name","value":"finished"}},{"kind":"Field","name":{"kind":"Name","value":"failed"}},{"kind":"Field","name":{"kind":"Name","value":"skipped"}},{"kind":"Field","name":{"kind":"Name","value":"running"}}]}},{"kind":"Field","name":{"kind":"Name","value":"waitingFor"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"kind"}},{"kind":"Field","name":{"kind":"Name","value":"role"}},{"kind":"Field","name":{"kind":"Name","value":"step"}},{"kind":"Field","name":{"kind":"Name","value":"until"}},{"kind":"Field","name":{"kind":"Name","value":"agentRequest"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"subject"}},{"kind":"Field","name":{"kind":"Name","value":"request"}},{"kind":"Field","name":{"kind":"Name","value":"status"}}]}}]}},{"kind":"Field","name":{"kind":"Name","value":"steps"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"path"}},{"kind":"Field","name":{"kind":"Name","value":"name"}},{"kind":"Field","name":{"kind":"Name","value":"type"}},{"kind":"Field","name":{"kind":"Name","value":"status"}},{"kind":"Field","name":{"kind":"Name","value":"attempt"}},{"kind":"Field","name":{"kind":"Name","value":"startedAt"}},{"kind":"Field","name":{"kind":"Name","value":"finishedAt"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}}]}},{"kind":"Field","name":{"kind":"Name","value":"output"}},{"kind":"Field","name":{"kind":"Name","value":"waitingFor"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"kind"}},{"kind":"Field","name":{"kind":"Name","value":"role"}},{"kind":"Field","name":{"kind":"Name","value":"agentRequestId"}}]}}]}},{"kind":"Field","name":{"kind":"Name","value":"events"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"seq"}},{"kind":"Field","name":{"kind":"Name","value":"type"}},{"kind":"Field","name":{"kind":"Name","value":"step"}},{"kind":"Field","name":{"kind":"Name","value":"path"}},{"kind":"Field","name":{"kind":"Name","value":"attempt"}},{"kind":"Field","name":{"kind":"Name","value":"data"}}]}},{"kind":"Field","name":{"kind":"Name","value":"picture"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"format"},"value":{"kind":"EnumValue","value":"SVG"}}]}]}}]}}]} as unknown as DocumentNode<WatchExampleQuery, WatchExampleQueryVariables>;
export const AnswerExampleDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"AnswerExample"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"AnswerAgentRequestInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"answerAgentRequest"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"__typename"}},{"kind":"InlineFragment","typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"AnswerAgentRequestSuccess"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"replayed"}},{"kind":"Field","name":{"kind":"Name","value":"agentRequest"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"status"}},{"kind":"Field","name":{"kind":"Name","value":"decision"}},{"kind":"Field","name":{"kind":"Name","value":"answer"}},{"kind":"Field","name":{"kind":"Name","value":"answerBytes"}},{"kind":"Field","name":{"kind":"Name","value":"answeredBy"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"handle"}}]}},{"kind":"Field","name":{"kind":"Name","value":"execution"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}}]}}]}}]}}]}}]}}]} as unknown as DocumentNode<AnswerExampleMutation, AnswerExampleMutationVariables>;
export const AnswerManyDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"AnswerMany"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"answers"}},"type":{"kind":"NonNullType","type":{"kind":"ListType","type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"AgentAnswer"}}}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"answerAgentRequests"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"ObjectValue","fields":[{"kind":"ObjectField","name":{"kind":"Name","value":"answers"},"value":{"kind":"Variable","name":{"kind":"Name","value":"answers"}}}]}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"__typename"}},{"kind":"InlineFragment","typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"AnswerAgentRequestsSuccess"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"results"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"ok"}},{"kind":"Field","name":{"kind":"Name","value":"replayed"}},{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"issues"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"path"}}]}}]}}]}},{"kind":"InlineFragment","typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"ValidationProblem"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"issues"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"path"}}]}}]}}]}}]}}]} as unknown as DocumentNode<AnswerManyMutation, AnswerManyMutationVariables>;
export const PauseAndResumeExampleDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"PauseAndResumeExample"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"id"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"ID"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","alias":{"kind":"Name","value":"pause"},"name":{"kind":"Name","value":"pauseExecution"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"ObjectValue","fields":[{"kind":"ObjectField","name":{"kind":"Name","value":"id"},"value":{"kind":"Variable","name":{"kind":"Name","value":"id"}}},{"kind":"ObjectField","name":{"kind":"Name","value":"reason"},"value":{"kind":"StringValue","value":"lunch","block":false}}]}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"__typename"}},{"kind":"InlineFragment","typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"PauseExecutionSuccess"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"execution"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"status"}},{"kind":"Field","name":{"kind":"Name","value":"reason"}},{"kind":"Field","name":{"kind":"Name","value":"lastSeq"}},{"kind":"Field","name":{"kind":"Name","value":"events"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"type"}}]}}]}}]}}]}},{"kind":"Field","alias":{"kind":"Name","value":"resume"},"name":{"kind":"Name","value":"resumeExecution"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"ObjectValue","fields":[{"kind":"ObjectField","name":{"kind":"Name","value":"id"},"value":{"kind":"Variable","name":{"kind":"Name","value":"id"}}}]}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"__typename"}},{"kind":"InlineFragment","typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"ResumeExecutionSuccess"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"execution"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"status"}},{"kind":"Field","name":{"kind":"Name","value":"lastSeq"}},{"kind":"Field","name":{"kind":"Name","value":"events"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"type"}}]}}]}}]}}]}}]}}]} as unknown as DocumentNode<PauseAndResumeExampleMutation, PauseAndResumeExampleMutationVariables>;