/** How everybody is told that the server goes down: not all at once, and whoever shares a connection together. */
import { expect, test } from 'vitest'
import { drainMembers } from '../../src/live/drain.ts'
import { Member } from '../../src/live/member.ts'
import { reader } from './access.ts'

/** Each with two feeds; `told` and `ended` in their order, by the number of the connection. */
function followers(count: number) {
  const [told, ended] = [[] as number[], [] as number[]]
  const members = Array.from({ length: 2 * count }, (_, at) => {
    const connection = connections[at % count]!
    const sink = {
      ...{ connection, send: () => undefined, congested: () => false, drained: async () => undefined },
      ...{ over: () => undefined, fail: () => undefined },
      disconnect: () => void ended.push(at % count),
    }
    return new Member(sink, reader(), undefined)
  })
  const numbers = new Map(members.map((member, at) => [member, at % count]))
  return { told, ended, members, close: async (member: Member<unknown>) => void told.push(numbers.get(member)!) }
}
const connections = Array.from({ length: 200 }, () => ({}))

test('many connections end one after the other, each once, when all of its feeds were told', async () => {
  const { told, ended, members, close } = followers(200)
  const over = drainMembers(members, close, 1_000)
  await Promise.resolve()
  // the first twentieth of a second
  expect(told.length).toBeLessThan(200)
  expect(told.length).toBeGreaterThan(0)
  await over
  expect(told).toEqual(Array.from({ length: 400 }, (_, at) => Math.floor(at / 2)))
  expect(ended).toEqual(Array.from({ length: 200 }, (_, at) => at))
})

test('without time they end at once; whoever has no connection of many is told alone', async () => {
  const { told, ended, members, close } = followers(200)
  const [alone] = followers(1).members
  const over = drainMembers([...members, alone!], async (member) => (member === alone ? undefined : close(member)), 0)
  expect(told).toHaveLength(400)
  await over
  expect(ended).toHaveLength(200)
})
