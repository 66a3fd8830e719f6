/** SQL in flows: whatever is not one harmless SELECT must be refused before it is stored, and a source must keep its password (C4). */
import { REFUSED } from '../../test/language/sql/corpus.ts'
import { SOURCE_PASSWORD } from '../server.ts'
import type { Topic } from '../trial.ts'

const flowOf = (sql: string, params: number): object => ({
  version: 1,
  name: `q${Math.random().toString(36).slice(2)}`,
  steps: { q: { type: 'query', source: 'shop', sql, params: Array.from({ length: params }, () => 1), timeout: 'PT5S' } },
})
const VALIDATE = 'mutation ($d: JSON!) { validateFlow(input: { definition: $d }) { valid issues { code path } } }'

export const queries: Topic = {
  name: 'queries',
  about: 'SQL in flows: writing, locking, sleeping, files, catalogs, literals, comments, calls that do not look like calls',
  async run({ world, attempt }) {
    const { client, attacker } = world
    const { token } = attacker
    for (const [kind, cases] of Object.entries(REFUSED)) {
      await attempt(kind, async () => {
        for (const [sql] of cases) {
          const parameters = Math.max(0, ...[...sql.matchAll(/\$(\d)\b/g)].map(([, number]) => Number(number)))
          const { data, errors } = await client.send(VALIDATE, { token, variables: { d: flowOf(sql, parameters) } })
          const told = data?.validateFlow?.issues?.map(({ code }: { code: string }) => code) ?? []
          if (data?.validateFlow?.valid !== false && errors.length === 0) return `${sql.slice(0, 200)} is valid`
          if (told.includes('UNKNOWN_SOURCE')) return 'the source of the attack is not there'
        }
        return undefined
      })
    }
    await attempt('a harmless one is valid, else nothing is shown', async () => {
      const { data } = await client.send(VALIDATE, { token, variables: { d: flowOf('select a from t where b = $1', 1) } })
      return data?.validateFlow?.valid === true ? undefined : JSON.stringify(data)
    })
    await attempt('what a source says when it fails', async () => {
      const definition = flowOf('select a from t where b = $1', 1)
      const made = await client.mutate(token, 'createFlow', { definition }, 'flow { id }')
      const run = await client.mutate(
        token,
        'startExecution',
        { flow: made.flow?.id, input: {}, waitMs: 10_000 },
        'execution { status error { code message } events(first: 50) { data } }',
      )
      if (run.execution?.error?.code !== 'QUERY_FAILED') return JSON.stringify(run)
      return JSON.stringify(run).includes(SOURCE_PASSWORD) ? 'it tells the password' : undefined
    })
  },
}
