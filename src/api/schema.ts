/** The schema: every noun, assembled. `printSchema` is what `schema.graphql` holds. */
import { printSchema as print } from 'graphql'
import { builder } from './builder.ts'
import './scalars.ts'
import './problems.ts'
import './viewer.ts'
import './users.ts'
import './sessions.ts'
import './password.ts'
import './flow.ts'
import './flow-access.ts'
import './api-key.ts'
import './execution-link.ts'
import './execution.ts'
import './execution-list.ts'
import './execution-event.ts'
import './step-run.ts'
import './execution-feed.ts'
import './execution-control.ts'
import './agent-request.ts'
import './approval.ts'
import './signal.ts'
import './audit.ts'
import './audit-feed.ts'
import './security-event.ts'
import './audit-verification.ts'
import './secret.ts'
import './resource-use.ts'

export const schema = builder.toSchema()

/** The SDL, sorted, so that it changes only when the schema does. */
export const printSchema = (): string => `${print(schema)}\n`
