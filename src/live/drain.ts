/** Telling everybody that the server goes down: not all in one moment, or all would come to the next server in one moment. */
import { setTimeout as pause } from 'node:timers/promises'
import type { Member } from './member.ts'

/** A server lets in about as many in a second, each with its token, its limits and its first read. */
const MS_A_CONNECTION = 1
const SLICE_MS = 50

/** Connection by connection, within `mostMs`; with few of them in no time. Resolves when all were told. */
export async function drainMembers<Rendered>(
  members: readonly Member<Rendered>[],
  close: (member: Member<Rendered>) => Promise<void>,
  mostMs: number,
): Promise<void> {
  const connections = [...Map.groupBy(members, ({ sink }) => sink.connection ?? sink).values()]
  const overMs = Math.min(mostMs, connections.length * MS_A_CONNECTION)
  const began = performance.now()
  const telling: Promise<void>[] = []
  while (telling.length < connections.length) {
    const share = Math.min(1, (performance.now() - began + SLICE_MS) / overMs)
    const due = connections.slice(telling.length, Math.ceil(connections.length * share))
    telling.push(...due.map(tell))
    if (telling.length < connections.length) await pause(SLICE_MS)
  }
  await Promise.all(telling)

  async function tell(sharing: readonly Member<Rendered>[]): Promise<void> {
    await Promise.all(sharing.map(close))
    sharing[0]!.sink.disconnect?.()
  }
}
