/** `/health/live`: the process answers. `/health/ready`: it can do its work, or says what it waits for. */
import type { ServerResponse } from 'node:http'

/** Names what is not ready yet (`database`, `migrations` ...); empty = ready. */
export type WaitsFor = () => readonly string[] | Promise<readonly string[]>

/** Answers a health path; false = it is none. */
export async function answerHealth(path: string, response: ServerResponse, waitsFor: WaitsFor): Promise<boolean> {
  if (path !== '/health/live' && path !== '/health/ready') return false
  const waiting = path === '/health/ready' ? await waitsFor() : []
  response.statusCode = waiting.length > 0 ? 503 : 200
  response.setHeader('content-type', 'application/json; charset=utf-8')
  response.setHeader('cache-control', 'no-store')
  response.end(JSON.stringify(waiting.length > 0 ? { status: 'waiting', waitingFor: waiting } : { status: 'ok' }))
  return true
}
