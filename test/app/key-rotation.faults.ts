/** Changing the keys of a server that runs, one start after the other. */
import { randomBytes } from 'node:crypto'
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { MACHINE } from '../harness/machine-environment.ts'
import { dataDirectory, startServerProcess } from '../harness/server-process.ts'
import { testDatabase } from '../harness/test-database.ts'

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
const PASSWORD = 'Correct-horse-1'
const newKeys = () => {
  const key = () => randomBytes(48).toString('base64url')
  return { SLUICE_JWT_SECRET: key(), SLUICE_SECRETS_KEY: key(), SLUICE_AUDIT_KEY: key() }
}

test(
  'all keys are changed as docs/operating.md says: who is signed in stays so, secrets are sealed anew, the audit log verifies (B1, B9, C7)',
  { timeout: 180_000 },
  async () => {
    const { env, ownerQuery } = await testDatabase()
    const dataDir = await dataDirectory()
    const [old, young] = [newKeys(), newKeys()]
    const both = {
      ...young,
      SLUICE_JWT_PREVIOUS_SECRETS: old.SLUICE_JWT_SECRET,
      SLUICE_SECRETS_PREVIOUS_KEYS: old.SLUICE_SECRETS_KEY,
      SLUICE_AUDIT_PREVIOUS_KEYS: old.SLUICE_AUDIT_KEY,
    }
    const verify = (keys: Record<string, string>) => {
      const environment = { ...MACHINE, ...env, SLUICE_DATA_DIR: dataDir, ...keys }
      return spawnSync(process.execPath, [MAIN, 'audit', 'verify'], { env: environment, encoding: 'utf8' })
    }
    const keyIds = async () =>
      (await ownerQuery<{ id: string }>('select distinct key_id as id from sluice.secrets')).map(({ id }) => id)
    let token = ''
    // what a document asks for is what its test reads
    // oxlint-disable-next-line no-explicit-any
    const withServer = async (keys: Record<string, string>, work: (ask: (query: string) => Promise<any>) => Promise<void>) => {
      const server = await startServerProcess(dataDir, { ...env, ...keys, SLUICE_ADMIN_PASSWORD: PASSWORD })
      await work(async (query) => {
        const headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) }
        const answer = await fetch(`${server.url}/graphql`, { method: 'POST', headers, body: JSON.stringify({ query }) })
        return answer.json()
      })
      expect(await server.end('SIGTERM')).toBe(0)
    }

    await withServer(old, async (ask) => {
      const signIn = `mutation { signIn(input: { email: "admin@sluice.local", password: "${PASSWORD}" }) { ... on SignInSuccess { accessToken } } }`
      token = (await ask(signIn)).data.signIn.accessToken
      const set = await ask(
        `mutation { setSecret(input: { name: "billing", value: "${randomBytes(24).toString('hex')}" }) { __typename } }`,
      )
      expect(set.data.setSecret.__typename).toBe('SetSecretSuccess')
    })
    const sealedBefore = await keyIds()
    await withServer(both, async (ask) => {
      expect((await ask('{ viewer { id } }')).data.viewer).not.toBe(null)
      await expect.poll(keyIds, { timeout: 10_000 }).not.toEqual(sealedBefore)
    })
    expect(await keyIds()).toHaveLength(1)
    expect(verify(both)).toMatchObject({ status: 0 })
    // the first two are dropped, the audit log still needs the third
    await withServer({ ...young, SLUICE_AUDIT_PREVIOUS_KEYS: old.SLUICE_AUDIT_KEY }, async (ask) => {
      expect((await ask('{ viewer { id } }')).errors).toMatchObject([{ extensions: { code: 'UNAUTHENTICATED' } }])
    })
    expect(verify({ ...young, SLUICE_AUDIT_PREVIOUS_KEYS: old.SLUICE_AUDIT_KEY })).toMatchObject({ status: 0 })
    expect(verify(young)).toMatchObject({ status: 1, stdout: expect.stringContaining('a key that is not configured') })
  },
)
