/** The flow of drills, which the first of them makes, and one of a newer release publishes again. */
import { isDeepStrictEqual } from 'node:util'
import type { Session } from '../../clients/feed/session.ts'
import { drillFlow } from './flow.ts'

const FIND = `query ($name: String!) { flow(name: $name) { id version latestVersion { definition } } }`
const CREATE = `mutation ($input: CreateFlowInput!) {
  done: createFlow(input: $input) { ... on CreateFlowSuccess { flow { id } } ... on Problem { message } }
}`
const PUBLISH = `mutation ($input: PublishFlowVersionInput!) {
  done: publishFlowVersion(input: $input) { ... on PublishFlowVersionSuccess { flow { id } } ... on Problem { message } }
}`
type Found = { flow: { id: string; version: number; latestVersion: { definition: unknown } } | null }
type Done = { done: { flow?: { id: string }; message?: string } }

/** Its id. Throws what the API has against it. */
export async function ensureFlow(session: Session): Promise<string> {
  const definition = JSON.parse(JSON.stringify(drillFlow)) as unknown
  const { flow: found } = await session.run<Found>(FIND, { name: drillFlow.name })
  if (found && isDeepStrictEqual(found.latestVersion.definition, definition)) return found.id
  const { done } = found
    ? await session.run<Done>(PUBLISH, { input: { flowId: found.id, definition, expectedVersion: found.version } })
    : await session.run<Done>(CREATE, { input: { definition } })
  if (!done.flow) throw new Error(`the flow of the drill cannot be made: ${done.message}`)
  return done.flow.id
}
