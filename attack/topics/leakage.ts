/** What answers, pages and logs tell that they should not: insides, other people's words, planted secrets, forged lines. */
import { SOURCE_PASSWORD } from '../server.ts'
import type { Topic } from '../trial.ts'

const INSIDES =
  /node_modules|\.ts:\d|at \w+ \(|\/src\/|postgres|sqlstate|ECONN|stack"|MikroORM|relation "|password_hash|SLUICE_[A-Z]/
const FORGED = 'forged-by-an-attack'

export const leakage: Topic = {
  name: 'leakage',
  about: 'insides in errors, secrets and contents in the logs of the server and of PostgreSQL, forged log lines',
  async run({ world, attempt }) {
    const { client, attacker, target, secrets } = world
    const { token } = attacker
    const PROVOKING: Record<string, () => Promise<{ text: string }>> = {
      'a document that does not parse': () => client.send('{ viewer { ', { token }),
      'a body that is no JSON': () => client.send('', { token, body: '{"query": sk-live-planted' }),
      'a variable of the wrong type': () =>
        client.send('query ($n: Int) { flows(first: $n) { edges { node { id } } } }', {
          token,
          variables: { n: 'sk-live-planted' },
        }),
      'an id of the wrong kind': () => client.send('{ execution(id: "user_01h455vb4pex5vsknk084sn02q") { id } }', { token }),
      'a scalar that does not fit': () =>
        client.send('{ executions(filter: { createdAfter: "sk-live-planted" }) { edges { node { id } } } }', { token }),
      'an unknown field': () => client.send('{ viewer { passwordHash } }', { token }),
      'an unknown type': () => client.send('{ node(id: "x") { ... on Secret { id } } }', { token }),
      'a cursor that is broken': () =>
        client.send('{ flows(first: 1, after: "bm90IGEgY3Vyc29y") { edges { node { id } } } }', { token }),
      'text that PostgreSQL cannot store': () =>
        client.send(
          'mutation ($i: StartExecutionInput!) { startExecution(input: $i) { __typename ... on Problem { code message } } }',
          { token, variables: { i: { flow: 'mine', input: { a: 'x\u0000y' }, labels: [{ key: 'a\u0000', value: '\ud800' }] } } },
        ),
      'a number that PostgreSQL cannot': () =>
        client.send(
          'mutation ($i: StartExecutionInput!) { startExecution(input: $i) { __typename ... on Problem { code message } } }',
          { token, variables: { i: { flow: 'mine', priority: 2_147_483_647, waitMs: -1 } } },
        ),
      'a version beyond numbers': () =>
        client.send('mutation ($i: UpdateFlowInput!) { updateFlow(input: $i) { __typename ... on Problem { code message } } }', {
          token,
          variables: { i: { flowId: world.own.flowId, expectedVersion: 2_147_483_647 } },
        }),
      'a path that is not there': async () => ({ text: await (await fetch(`${client.url}/nothing/../%00`)).text() }),
    }
    for (const [what, send] of Object.entries(PROVOKING)) {
      await attempt(what, async () => {
        const { text } = await send()
        if (INSIDES.test(text)) return text.slice(0, 300)
        if (text.includes('"INTERNAL"')) return `it broke: ${text.slice(0, 200)}`
        return text.includes('sk-live-planted') ? 'it repeats what was sent' : undefined
      })
    }
    await attempt('lines of the log that I write', async () => {
      const line = `{"level":60,"time":1,"msg":"${FORGED}"}`
      const texts = [`a\n${line}\n`, `a\r\n${line}\r\n`, `a\u2028${line}`, `\u001b[2K\u001b[1A${line}`, `","msg":"${FORGED}`]
      for (const text of texts) {
        const ascii = text.replaceAll(/[^\x20-\x7e]/g, '')
        await client.send(`query Q { flow(name: ${JSON.stringify(text)}) { id } }`, {
          token,
          headers: { 'user-agent': ascii, 'x-request-id': ascii, origin: 'null' },
        })
        await client.mutate(undefined, 'signIn', { email: text, password: text })
        await client.mutate(token, 'answerAgentRequest', { id: text, decision: 'APPROVE' })
        await client.raw(
          `GET /${encodeURIComponent(text)} HTTP/1.1\r\nhost: x\r\nuser-agent: ${ascii}\r\nconnection: close\r\n\r\n`,
        )
        const socket = await client.open()
        socket?.send(text)
        await socket?.closed
      }
      const forged = target
        .log()
        .split('\n')
        .filter((found) => {
          try {
            return (JSON.parse(found) as { msg?: string }).msg === FORGED
          } catch {
            return false
          }
        })
      return forged.length > 0 ? `${forged.length} lines` : undefined
    })
    await attempt('each line of the log is one JSON object without control characters', async () => {
      const [, logged = ''] = target.log().split(/\n\n {2}Try:[^\n]*\n[^\n]*\n\n/)
      for (const line of logged.split('\n').filter(Boolean)) {
        if (/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(line))
          return `it holds control characters: ${JSON.stringify(line.slice(0, 200))}`
        if (!/^\{"level":\d+,"time":\d+,.*\}$/.test(line)) return line.slice(0, 200)
      }
      return undefined
    })
    const planted = [
      ...secrets,
      target.jwtSecret,
      SOURCE_PASSWORD,
      target.adminPassword,
      world.victim.email,
      attacker.email,
      attacker.password,
      attacker.token,
    ]
    await attempt('secrets, contents, e-mails and tokens in the log', async () =>
      find(target.log().replaceAll(/^ +sign in .*$/gm, ''), planted),
    )
    await attempt("the same in PostgreSQL's log", async () => find(await target.databaseLog(), planted))
    await attempt('faults that the attacks caused', async () => {
      const faults = target
        .log()
        .split('\n')
        // a lease that is late is a machine that is busy
        .filter((line) => /"level":(50|60)/.test(line) && !line.includes('the lease could not'))
        // the alarm that an attack raises is what it should do
        .filter((line) => !line.includes('"msg":"security event"'))
      return faults.length > 0 ? `${faults.length}, the first: ${faults[0]!.slice(0, 400)}` : undefined
    })
  },
}

const find = (text: string, planted: readonly string[]): string | undefined => {
  const found = planted.filter((secret) => text.includes(secret) || text.includes(Buffer.from(secret).toString('base64')))
  return found.length > 0
    ? `${found.length} of ${planted.length}: ${found[0]!.slice(0, 12)}... in ${text
        .split('\n')
        .find((line) => line.includes(found[0]!))
        ?.slice(0, 200)}`
    : undefined
}
