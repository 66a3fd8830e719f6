/** Whom a client of PostgreSQL believes over TLS, and what an operator is told when it believes nobody. */
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createSecureContext, TLSSocket } from 'node:tls'
import { expect, onTestFinished, test } from 'vitest'
import { sayWhy } from '../../src/database/say-why.ts'
import { VerifyingClient } from '../../src/database/verifying-client.ts'
import { isAway } from '../../src/database/when-reachable.ts'
import { selfSigned } from '../harness/self-signed.ts'
import { dataDirectory } from '../harness/server-process.ts'

const AFTER_TLS = 'nobody signs in here'
const WILLING = 'S'

/** Speaks TLS as PostgreSQL does, with a certificate for these names, and ends whoever believes it. Its port, and the certificate's file. */
async function serverFor(...names: string[]) {
  const made = selfSigned(...names)
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.once('data', () => {
      socket.write(WILLING)
      const secure = new TLSSocket(socket, { isServer: true, secureContext: createSecureContext(made) })
      secure.on('error', () => undefined)
      // an ErrorResponse: whoever asks to sign in is through with TLS
      const fields = Buffer.from(`SFATAL\0C28P01\0M${AFTER_TLS}\0\0`)
      const length = Buffer.alloc(4)
      length.writeInt32BE(fields.length + 4)
      secure.once('data', () => secure.end(Buffer.concat([Buffer.from('E'), length, fields])))
    })
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  onTestFinished(() => void server.close())
  const file = join(await dataDirectory(), 'ca.pem')
  await writeFile(file, made.cert)
  return { port: (server.address() as AddressInfo).port, file }
}

async function whyNot(host: string, { port, file }: { port: number; file: string }, trusts = true): Promise<unknown> {
  const root = trusts ? `&sslrootcert=${file}` : ''
  try {
    const client = new VerifyingClient(`postgres://me:secret@${host}:${port}/flows?sslmode=verify-full${root}`)
    client.on('error', () => undefined)
    return await client.connect()
  } catch (error) {
    return error
  }
}

test('who is called by an address shows a certificate for this address, not for localhost (D6)', async () => {
  const named = await serverFor('localhost')
  expect(sayWhy(await whyNot('localhost', named))).toContain(AFTER_TLS)
  const stranger = await whyNot('127.0.0.1', named)
  expect(stranger).toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' })
  expect(sayWhy(stranger)).toMatch(/: call the server by a name that is in its certificate$/)
  expect(sayWhy(await whyNot('127.0.0.1', await serverFor('127.0.0.1')))).toContain(AFTER_TLS)
})

test('each reason says what to do, and none of them is waited for', async () => {
  const server = await serverFor('localhost')
  const reasons = [
    [
      await whyNot('localhost', server, false),
      /^self-signed certificate: the certificate of PostgreSQL is not trusted: name the authority/,
    ],
    [await whyNot('localhost', { ...server, file: '/nowhere/ca.pem' }), /no such file or directory, open '\/nowhere\/ca.pem'$/],
    [await whyNot('localhost', server), /^nobody signs in here: check the password in the URL/],
  ] as const
  for (const [error, says] of reasons) {
    expect(sayWhy(error)).toMatch(says)
    expect(sayWhy(error)).not.toContain('secret')
    expect(isAway(error)).toBe(false)
  }
  const nobody = Object.assign(new AggregateError([new Error('connect ECONNREFUSED ::1:5432')]), { code: 'ECONNREFUSED' })
  expect(sayWhy(nobody)).toMatch(/^connect ECONNREFUSED ::1:5432: is PostgreSQL there/)
  expect(isAway(nobody)).toBe(true)
})
