/** Finding out who and what exists: by the text, the code, the headers and the time of answers. */
import { encodeId, newUuid } from '../../src/ids.ts'
import { tells } from '../statistics.ts'
import type { Outcome, Topic } from '../trial.ts'
import type { Answer } from '../client.ts'

/** What differs from answer to answer anyway. */
const outside = ({ status, text, headers }: Answer, named: string): string => {
  const names = [...headers.keys()].filter(
    (name) => !/^(date|x-request-id|x-ratelimit-\w+|content-length|keep-alive|connection)$/.test(name),
  )
  return JSON.stringify([status, text.replaceAll(named, 'NAMED').replaceAll(/"requestId":"[^"]*"/g, ''), names.sort()])
}

type Send = () => Promise<Answer>

const SIGN_IN = 'mutation ($input: SignInInput!) { signIn(input: $input) { __typename ... on Problem { code message path } } }'
const RESET = 'mutation ($input: RequestPasswordResetInput!) { requestPasswordReset(input: $input) { __typename } }'
const EXECUTION = 'query ($id: ID!) { execution(id: $id) { id status } }'
const START =
  'mutation ($input: StartExecutionInput!) { startExecution(input: $input) { __typename ... on Problem { code message path } } }'

async function measured(known: Send, unknown: Send, samples: number): Promise<-1 | 0 | 1> {
  const times: { known: number[]; unknown: number[] } = { known: [], unknown: [] }
  // turn about: what slows the machine slows both; the first warm up
  for (let sample = -2; sample < samples; sample++) {
    const turns = sample % 2 === 0 ? (['known', 'unknown'] as const) : (['unknown', 'known'] as const)
    for (const turn of turns) {
      const { ms } = await (turn === 'known' ? known() : unknown())
      if (sample >= 0) times[turn].push(ms)
    }
  }
  return tells(times.known, times.unknown)
}

export const enumeration: Topic = {
  name: 'enumeration',
  about: 'who and what exists, by text, code, headers and time',
  async run({ world, quick, attempt }) {
    const { client, victim, attacker, things } = world
    const nobody = 'nobody-here@attack.example'
    const asking: Record<string, { samples: number; known: Send; unknown: Send; names: [string, string] }> = {
      'an account, by signing in': {
        samples: quick ? 7 : 40,
        known: () => client.send(SIGN_IN, { variables: { input: { email: victim.email, password: 'Wrong-1-password' } } }),
        unknown: () => client.send(SIGN_IN, { variables: { input: { email: nobody, password: 'Wrong-1-password' } } }),
        names: [victim.email, nobody],
      },
      'an account, by asking for a reset': {
        samples: quick ? 15 : 100,
        known: () => client.send(RESET, { variables: { input: { email: victim.email } } }),
        unknown: () => client.send(RESET, { variables: { input: { email: nobody } } }),
        names: [victim.email, nobody],
      },
      'an execution, by its id': {
        samples: quick ? 60 : 400,
        known: () => client.send(EXECUTION, { token: attacker.token, variables: { id: things.execution } }),
        unknown: () => client.send(EXECUTION, { token: attacker.token, variables: { id: encodeId('execution', newUuid()) } }),
        names: [things.execution!, ''],
      },
      'a flow, by starting it': {
        samples: quick ? 40 : 200,
        known: () => client.send(START, { token: attacker.token, variables: { input: { flow: things.flow, input: {} } } }),
        unknown: () =>
          client.send(START, { token: attacker.token, variables: { input: { flow: encodeId('flow', newUuid()), input: {} } } }),
        names: [things.flow!, ''],
      },
    }
    for (const [what, { samples, known, unknown, names }] of Object.entries(asking)) {
      await attempt(`${what}: text, code, headers`, async () => {
        const [one, other] = [outside(await known(), names[0]), outside(await unknown(), names[1] || '\u0000')]
        return one === other ? undefined : `${one} against ${other}`
      })
      await attempt(`${what}: time`, async (): Promise<Outcome> => {
        const first = await measured(known, unknown, samples)
        if (first === 0) return undefined
        // again: chance does not say the same twice
        return (await measured(known, unknown, samples)) === first
          ? `what is known takes ${first > 0 ? 'longer' : 'less'}`
          : undefined
      })
    }
    await attempt('handles, by making a user of the same', async () => {
      for (const field of ['createUser', 'updateUser', 'deleteUser']) {
        const answer = await client.mutate(attacker.token, field, {
          ...(field === 'createUser'
            ? { email: victim.email, handle: victim.handle, name: 'x', password: victim.password, role: 'USER' }
            : { id: victim.id, expectedVersion: 1 }),
        })
        if (answer.__typename) return `${field} answered ${JSON.stringify(answer)}`
      }
      return undefined
    })
    await attempt('the list of users', async () => {
      const { data } = await client.send('{ users(first: 10) { edges { node { id } } } }', { token: attacker.token })
      return data?.users ? 'a user may read it' : undefined
    })
    await attempt("another's executions and flows, by filters", async () => {
      const document = `query ($owner: String!, $user: ID!) { flows(first: 50, filter: { owner: $owner }) { edges { node { id } } } executions(first: 50, filter: { initiator: $user }) { edges { node { id } } } }`
      const { data } = await client.send(document, {
        token: attacker.token,
        variables: { owner: victim.handle, user: victim.id },
      })
      return JSON.stringify(data ?? '').includes('"id"') ? JSON.stringify(data) : undefined
    })
    await attempt('ids that follow from others', async () => {
      const bytes = things.execution!
      for (const last of '0123456789abcdefghjkmnpqrstvwxyz') {
        const { data } = await client.send(EXECUTION, { token: attacker.token, variables: { id: bytes.slice(0, -1) + last } })
        if (data?.execution) return 'a neighbour is found'
      }
      return undefined
    })
  },
}
