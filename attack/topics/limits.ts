/** Ways round the limits of a server that nobody configured: addresses that are made up, other accounts, spellings, doors and aliases. */
import { codeOf } from '../trial.ts'
import type { Topic } from '../trial.ts'
import { newPassword, waitingFlow } from '../world.ts'

const HEADERS = [
  'x-forwarded-for',
  'x-real-ip',
  'forwarded',
  'x-client-ip',
  'true-client-ip',
  'cf-connecting-ip',
  'x-originating-ip',
  'x-remote-addr',
  'client-ip',
  'via',
]

export const limits: Topic = {
  name: 'limits',
  limited: true,
  about: 'attempts to sign in, writes and requests beyond the limits, by headers, spellings, aliases, batches and sockets',
  async run({ world, attempt }) {
    const { client, victim, attacker } = world
    const wrong = (email: string, headers: Record<string, string> = {}) =>
      client.send('mutation ($i: SignInInput!) { signIn(input: $i) { ... on Problem { code } } }', {
        variables: { i: { email, password: newPassword() } },
        headers,
      })
    const isLimited = (answer: Awaited<ReturnType<typeof wrong>>): boolean =>
      answer.data?.signIn?.code === 'LIMIT_REACHED' || codeOf(answer) === 'RATE_LIMITED'

    await attempt('twenty aliases of signIn are twenty attempts', async () => {
      const one = (n: number): string =>
        `a${n}: signIn(input: { email: "${victim.email}", password: "Wrong-${n}-password" }) { ... on Problem { code } }`
      const { data, errors } = await client.send(`mutation { ${Array.from({ length: 12 }, (_, n) => one(n)).join(' ')} }`)
      const tried = Object.values((data ?? {}) as Record<string, { code: string }>).filter(
        ({ code }) => code === 'UNAUTHENTICATED',
      ).length
      return tried > 5 && errors.length === 0 ? `${tried} passwords were tried` : undefined
    })
    await attempt('passwords tried in spellings of one e-mail', async () => {
      const spellings = [victim.email.toUpperCase(), ` ${victim.email}`, `${victim.email} `, victim.email.replace('v', 'V')]
      let tried = 0
      for (let n = 0; n < 12; n++) if (!isLimited(await wrong(spellings[n % spellings.length]!))) tried += 1
      return tried > 5 ? `${tried} were tried` : undefined
    })
    for (const header of HEADERS) {
      await attempt(`passwords tried with ${header}`, async () => {
        let tried = 0
        for (let n = 0; n < 8; n++) {
          const value = header === 'forwarded' ? `for=198.51.100.${n}` : `198.51.100.${n}`
          if (!isLimited(await wrong(victim.email, { [header]: value }))) tried += 1
        }
        return tried > 0 ? `${tried} were tried after the limit` : undefined
      })
    }
    await attempt('accounts tried one after the other, from one address', async () => {
      let tried = 0
      for (let n = 0; n < 80; n++)
        if (!isLimited(await wrong(`somebody-${n}@attack.example`, { 'x-forwarded-for': `203.0.113.${n}` }))) tried += 1
      return tried > 60 ? `${tried} were tried` : undefined
    })
    await attempt('flows written in batches, aliases and spellings', async () => {
      let written = 0
      for (let n = 0; n < 20; n++) {
        const made = await client.mutate(attacker.token, 'createFlow', { definition: waitingFlow(`many_${n}`) })
        if (made.__typename === 'CreateFlowSuccess') written += 1
      }
      return written > 10 ? `${written} were written` : undefined
    })
    await attempt('requests by made-up addresses, sessions and doors', async () => {
      let answered = 0
      for (let n = 0; n < 150; n++) {
        const answer = await client.send('{ viewer { id } }', {
          token: attacker.token,
          headers: { 'x-forwarded-for': `198.51.100.${n}`, 'x-request-id': `request-${n}` },
        })
        if (codeOf(answer) === 'NONE') answered += 1
      }
      if (answered > 110) return `${answered} were answered`
      const socket = await client.open()
      socket?.send({ type: 'connection_init', payload: { authorization: `Bearer ${attacker.token}` } })
      socket?.send({ id: '1', type: 'subscribe', payload: { query: '{ viewer { id } }' } })
      const told = await socket?.next(({ id }) => id === '1', 2_000)
      socket?.close()
      return told?.['type'] === 'next' ? 'the other door goes on answering' : undefined
    })
    await attempt('others are not locked out by it', async () => {
      const answer = await client.send('{ viewer { id } }', { token: world.viewer.token })
      return answer.data?.viewer ? undefined : answer.text
    })
  },
}
