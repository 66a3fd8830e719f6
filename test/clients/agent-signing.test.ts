/** The protocol of agents as docs/agents.md shows it: its signatures are right to the byte, its example is the one that runs. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { createSigner, isSignedByServer } from '../../clients/agent/signing.ts'
import { isSignedBy, signatureKeyOf, signatureOf } from '../../src/identity/agent-signatures.ts'
import { createMessageKeys } from '../../src/identity/message-keys.ts'
import { createSecretKeys } from '../../src/identity/secret-keys.ts'
import { readAnswer } from '../../src/operations/agent-requests/agent-message.ts'

const page = readFileSync(new URL('../../docs/agents.md', import.meta.url), 'utf8')
const block = (info: string): string => page.split(`\n\`\`\`${info}\n`)[1]!.split('\n```')[0]!

test('the signature of the worked example is that of the package and of the server; changed by a letter, it is none (A14)', () => {
  const { apiKey, fingerprint, signatureKey, message, signature } = JSON.parse(block('json agent signature'))
  const signer = createSigner(apiKey)
  expect(signer).toMatchObject({ fingerprint })
  expect(signer.sign(message)).toBe(signature)
  expect(signatureKeyOf(apiKey)).toBe(signatureKey)
  expect(signatureOf(message, signatureKey)).toBe(signature)
  expect(isSignedBy(message, signature, signatureKey)).toBe(true)
  expect(isSignedBy(message.replace('ceo', 'cto'), signature, signatureKey)).toBe(false)
  expect(isSignedBy(message, '', signatureKey)).toBe(false)
  expect(readAnswer(message)).toMatchObject({ decision: 'APPROVE', role: 'ceo' })
})

test('what a server signs is verified with its public key, and with no other', () => {
  const { publicKey, message, signature } = JSON.parse(block('json server signature'))
  expect(isSignedByServer(message, signature, publicKey)).toBe(true)
  expect(isSignedByServer(`${message} `, signature, publicKey)).toBe(false)
  const [one, same, other] = ['a', 'a', 'b'].map((secret) => createMessageKeys(createSecretKeys(secret.repeat(32))))
  expect(isSignedByServer('text', one!.sign('text'), same!.publicKey)).toBe(true)
  expect(isSignedByServer('text', one!.sign('text'), other!.publicKey)).toBe(false)
})

test.each(['ts', 'py'])('the example in %s that the page shows is part of the one that runs', (language) => {
  const [path, shown] = page
    .split(`\n\`\`\`${language} `)[1]!
    .split('\n```')[0]!
    .split(/\n([^]*)/)
  expect(readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')).toContain(shown)
})
