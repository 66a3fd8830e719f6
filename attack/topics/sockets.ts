/** The WebSocket door: no token, floods of messages, operations and sockets, frames that are too large or no protocol. Bounded. */
import type { Socket } from '../client.ts'
import type { Topic } from '../trial.ts'

const CLOSES_WITHIN_MS = 6_000

export const sockets: Topic = {
  name: 'sockets',
  about: 'without a token, floods of messages and operations, large frames, broken protocol',
  async run({ world, attempt }) {
    const { client, attacker, victim, things } = world
    const opened = async (token?: string): Promise<Socket> => {
      const socket = await client.open()
      if (!socket) throw new Error('no socket')
      socket.send({ type: 'connection_init', ...(token && { payload: { authorization: `Bearer ${token}` } }) })
      if (token && !(await socket.next(({ type }) => type === 'connection_ack'))) throw new Error('no acknowledgement')
      return socket
    }
    const closes = async (socket: Socket, codes: readonly number[]): Promise<string | undefined> => {
      const late = new Promise<number>((resolve) => setTimeout(resolve, CLOSES_WITHIN_MS, -1))
      const code = await Promise.race([socket.closed, late])
      socket.close()
      return codes.includes(code) ? undefined : code === -1 ? 'it stays open' : `it closed with ${code}`
    }

    await attempt('no token', async () => closes(await opened(), [4401]))
    await attempt('nothing at all is said', async () => closes((await client.open())!, [4408]))
    await attempt('an operation before the acknowledgement', async () => {
      const socket = (await client.open())!
      socket.send({ id: '1', type: 'subscribe', payload: { query: '{ viewer { id } }' } })
      const outcome = await closes(socket, [4401])
      return socket.received.some(({ type }) => type === 'next') ? 'it was answered' : outcome
    })
    await attempt('two greetings', async () => {
      const socket = await opened(attacker.token)
      socket.send({ type: 'connection_init', payload: { authorization: `Bearer ${victim.token}` } })
      return closes(socket, [4429])
    })
    for (const message of [
      '{',
      '[]',
      'null',
      '{"type":"nothing"}',
      '{"id":1,"type":"subscribe"}',
      '{"id":"","type":"subscribe","payload":{}}',
      '{"__proto__":{"type":"subscribe"}}',
      `{"type":"subscribe","id":"a","payload":{"query":${'['.repeat(10_000)}}}`,
    ]) {
      await attempt(`the message ${message.slice(0, 50)}`, async () => {
        const socket = await opened(attacker.token)
        socket.send(message)
        return closes(socket, [4400, 4429, 1008])
      })
    }
    await attempt('one id twice', async () => {
      const socket = await opened(attacker.token)
      const payload = { query: `subscription { executionFeed(id: "${world.own.executionId}") { __typename } }` }
      for (let time = 0; time < 2; time++) socket.send({ id: 'same', type: 'subscribe', payload })
      return closes(socket, [4409])
    })
    await attempt('a frame over 64 KiB', async () => {
      const socket = await opened(attacker.token)
      socket.send({ id: '1', type: 'subscribe', payload: { query: '{ viewer { id } }', variables: { x: 'x'.repeat(70_000) } } })
      return closes(socket, [1009])
    })
    await attempt('a flood of messages', async () => {
      const socket = await opened(attacker.token)
      for (let n = 0; n < 2_000; n++) socket.send({ type: 'ping' })
      return closes(socket, [1008])
    })
    await attempt('more operations than one socket may have', async () => {
      const socket = await opened(attacker.token)
      const payload = { query: `subscription { executionFeed(id: "${world.own.executionId}") { __typename } }` }
      for (let n = 0; n < 150; n++) socket.send({ id: `n${n}`, type: 'subscribe', payload })
      const refused = await socket.next(({ type }) => type === 'error')
      socket.close()
      return refused ? undefined : 'all of 150 began'
    })
    await attempt('more sockets than one may have', async () => {
      const all: Socket[] = []
      let refused = 0
      for (let n = 0; n < 130; n++) {
        const socket = await client.open()
        if (!socket) refused += 1
        else {
          all.push(socket)
          socket.send({ type: 'connection_init', payload: { authorization: `Bearer ${world.viewer.token}` } })
          const ack = await socket.next(({ type }) => type === 'connection_ack')
          if (!ack) refused += 1
        }
      }
      for (const socket of all) socket.close()
      return refused > 0 ? undefined : 'all of 130 were opened'
    })
    await attempt("another's feed, and a mutation under another's name", async () => {
      const socket = await opened(attacker.token)
      socket.send({
        id: '1',
        type: 'subscribe',
        payload: {
          query: `subscription { executionFeed(id: "${things.execution}") { __typename } }`,
          extensions: { authorization: `Bearer ${victim.token}` },
        },
      })
      const told = await socket.next(({ id }) => id === '1')
      socket.close()
      return told?.['type'] === 'error' ? undefined : JSON.stringify(told)
    })
    await attempt('a cursor of another feed, or made up', async () => {
      for (const after of ['', 'x', '999999999999', '-1', "' or 1=1", 'eyJhIjoxfQ', '\u0000', 'x'.repeat(10_000)]) {
        const socket = await opened(attacker.token)
        socket.send({
          id: '1',
          type: 'subscribe',
          payload: {
            query: 'subscription ($id: ID!, $after: String) { executionFeed(id: $id, after: $after) { __typename } }',
            variables: { id: world.own.executionId, after },
          },
        })
        const told = await socket.next(({ id }) => id === '1')
        socket.close()
        if (JSON.stringify(told).includes('INTERNAL')) return `${JSON.stringify(after.slice(0, 20))} broke it`
      }
      return undefined
    })
  },
}
