/** `/health/live`: the process answers. `/health/ready`: it can do its work, or says what it waits for. */
import type { ServerResponse } from 'node:http'

export interface Readiness {
  /** what keeps the process from its work (`database`, `migration ...`, `draining` ...); empty = ready */
  readonly waitingFor: readonly string[]
  /** what it does without, and is ready nevertheless */
  readonly without: readonly string[]
}

export type AskReadiness = () => Readiness | Promise<Readiness>

/** Answers a health path; false = it is none. */
export async function answerHealth(path: string, response: ServerResponse, ask: AskReadiness): Promise<boolean> {
  if (path !== '/health/live' && path !== '/health/ready') return false
  const { waitingFor, without } = path === '/health/ready' ? await ask() : { waitingFor: [], without: [] }
  const isReady = waitingFor.length === 0
  response.statusCode = isReady ? 200 : 503
  response.setHeader('content-type', 'application/json; charset=utf-8')
  response.setHeader('cache-control', 'no-store')
  const told = isReady ? { status: 'ok' } : { status: 'waiting', waitingFor }
  response.end(JSON.stringify({ ...told, ...(without.length > 0 && { without }) }))
  return true
}
