/** Refresh tokens that are used again, raced, stolen or guessed; passwords that are tried. */
import { randomBytes } from 'node:crypto'
import { codeOf } from '../trial.ts'
import type { Topic } from '../trial.ts'
import type { World } from '../world.ts'

const signIn = ({ client, attacker: { email, password } }: World) =>
  client.mutate(undefined, 'signIn', { email, password }, 'accessToken refreshToken')
const refresh = ({ client }: World, refreshToken: string, idempotencyKey?: string) =>
  client.mutate(
    undefined,
    'refreshSession',
    { refreshToken, ...(idempotencyKey && { idempotencyKey }) },
    'accessToken refreshToken',
  )
const works = async ({ client }: World, token: string): Promise<boolean> =>
  codeOf(await client.send('{ viewer { id } }', { token })) === 'NONE'

export const sessions: Topic = {
  name: 'sessions',
  about: 'refresh tokens replayed, raced and guessed; reset tokens; sign-in without a password',
  async run({ world, attempt }) {
    const { client } = world
    await attempt('a refresh token twice', async () => {
      const first = await signIn(world)
      const second = await refresh(world, first.refreshToken)
      if (!second.accessToken) return 'it could not be used once'
      if ((await refresh(world, first.refreshToken)).accessToken) return 'the second use was answered'
      if ((await refresh(world, second.refreshToken)).accessToken) return 'its family lives on'
      return (await works(world, second.accessToken)) ? 'the access token of its family lives on' : undefined
    })
    await attempt('one refresh token ten times at once', async () => {
      const { refreshToken } = await signIn(world)
      const all = await Promise.all(Array.from({ length: 10 }, () => refresh(world, refreshToken)))
      const good = new Set(all.map((answer) => answer.refreshToken).filter(Boolean))
      return good.size > 1 ? `${good.size} different tokens came of it` : undefined
    })
    await attempt('a replay with another idempotency key', async () => {
      const { refreshToken } = await signIn(world)
      await refresh(world, refreshToken, randomBytes(16).toString('hex'))
      return (await refresh(world, refreshToken, randomBytes(16).toString('hex'))).accessToken ? 'it was answered' : undefined
    })
    await attempt('a refresh token as an access token, and the other way', async () => {
      const { accessToken, refreshToken } = await signIn(world)
      if (await works(world, refreshToken)) return 'a refresh token opens the API'
      return (await refresh(world, accessToken)).accessToken ? 'an access token refreshes' : undefined
    })
    await attempt('tokens that are made up', async () => {
      for (const token of [
        '',
        ' ',
        'x',
        '0',
        'null',
        '%',
        "' or 1=1 --",
        randomBytes(32).toString('base64url'),
        'A'.repeat(10_000),
        '\u0000',
      ]) {
        if ((await refresh(world, token)).accessToken) return `${JSON.stringify(token)} refreshes`
        const reset = await client.mutate(undefined, 'resetPassword', { token, newPassword: 'Aa1-long-enough-9' })
        if (String(reset.__typename).endsWith('Success')) return `${JSON.stringify(token)} resets a password`
      }
      return undefined
    })
    await attempt('sign-in without the password', async () => {
      const { email } = world.victim
      for (const password of [
        '',
        ' ',
        '\u0000',
        world.victim.password.slice(0, -1),
        `${world.victim.password} `,
        world.victim.password.toLowerCase(),
        'x'.repeat(100),
      ]) {
        if ((await client.mutate(undefined, 'signIn', { email, password }, 'accessToken')).accessToken)
          return `${JSON.stringify(password)} is taken`
      }
      return undefined
    })
    await attempt('sign-in by patterns and lists', async () => {
      for (const email of ['%', '_', '*', "' or 'a'='a", `${world.victim.email}\u0000`, ['a'], { $ne: '' }, null]) {
        const answer = await client.mutate(undefined, 'signIn', { email, password: world.victim.password }, 'accessToken')
        if (answer.accessToken) return `${JSON.stringify(email)} signs in`
      }
      return undefined
    })
  },
}
