/** Subscriptions as a door follows them, without a network: documents in, results out as they were written, frame by frame. */
import { createSourceEventStream } from 'graphql'
import type { ExecutionResult } from 'graphql'
import { FeedSource } from '../../src/api/feed.ts'
import type { Calls, Context } from '../../src/api/context.ts'
import { schema } from '../../src/api/schema.ts'
import type { Principal } from '../../src/identity/principal.ts'
import { createLog } from '../../src/log.ts'
import { createFollower } from '../../src/server/follow.ts'
import { createPreparer } from '../../src/server/prepare.ts'
import { Pulled } from './pulled-feeds.ts'

interface Api {
  readonly calls: Calls
  call(principal?: Principal): Context
}

/** Throws what refuses the subscription. */
export function subscriber({ calls, call }: Api) {
  const follow = createFollower(schema, calls.makeFrameCall, createLog('silent'))
  const prepare = createPreparer(schema, false)
  return async (principal: Principal, query: string, variables: Record<string, unknown> = {}): Promise<Pulled<string>> => {
    const plan = prepare(query)
    if (!('document' in plan)) throw new Error(JSON.stringify(plan))
    const contextValue = call(principal)
    const source = await createSourceEventStream({ schema, document: plan.document, variableValues: variables, contextValue })
    if (!(source instanceof FeedSource)) throw (source as ExecutionResult).errors?.[0] ?? new Error('no feed')
    const answer = follow({ source, plan, variables, visitor: contextValue })
    return new Pulled<string>((sink) => answer.follow(sink))
  }
}
