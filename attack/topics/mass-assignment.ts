/** Fields that are not asked for: a role of one's own, an owner, a version, an id, in every place that takes input. */
import type { Outcome, Topic } from '../trial.ts'
import { waitingFlow } from '../world.ts'

const EXTRA = {
  role: 'ADMIN',
  ownerId: 'user_x',
  owner: 'attacker',
  id: 'flow_x',
  version: 99,
  createdAt: '2020-01-01T00:00:00Z',
  isAdmin: true,
  disabledAt: null,
  passwordHash: 'x',
  scopes: ['AUDIT_READ'],
}

export const massAssignment: Topic = {
  name: 'mass-assignment',
  about: 'fields that nobody offered, roles and scopes above one’s own',
  async run({ world, attempt }) {
    const { client, attacker, victim, viewer, admin, own } = world
    const inputs: Record<string, object> = {
      signIn: { email: attacker.email, password: attacker.password },
      createFlow: { definition: waitingFlow('extra') },
      updateFlow: { flowId: own.flowId, expectedVersion: 1 },
      startExecution: { flow: 'mine', input: {} },
      changePassword: { currentPassword: attacker.password, newPassword: attacker.password },
      createApiKey: { name: 'x', scopes: ['FLOWS_READ'] },
      requestPasswordReset: { email: attacker.email },
    }
    for (const [field, input] of Object.entries(inputs)) {
      await attempt(`${field} with fields of my own`, async () => {
        for (const [name, value] of Object.entries(EXTRA)) {
          if (name in input || (field === 'createApiKey' && ['role', 'scopes'].includes(name))) continue
          const answer = await client.mutate(attacker.token, field, { ...input, [name]: value })
          if (answer.__typename) return `${name} was taken: ${answer.__typename}`
        }
        return undefined
      })
    }
    await attempt('fields of my own in a definition', async () => {
      for (const [name, value] of Object.entries(EXTRA)) {
        const definition = { ...waitingFlow('extra'), ...(['version'].includes(name) ? { version: 99 } : { [name]: value }) }
        const answer = await client.mutate(attacker.token, 'createFlow', { definition }, 'flow { id }')
        if (answer.__typename === 'CreateFlowSuccess') return `${name} was taken`
      }
      return undefined
    })
    const refused = async (field: string, token: string, input: object): Promise<Outcome> => {
      const answer = await client.mutate(token, field, input)
      return String(answer.__typename).endsWith('Success') ? 'it was done' : undefined
    }
    await attempt('a user makes users', () =>
      refused('createUser', attacker.token, {
        email: 'x@attack.example',
        handle: 'x',
        name: 'x',
        password: attacker.password,
        role: 'ADMIN',
      }),
    )
    await attempt('a user makes itself an administrator', () =>
      refused('updateUser', attacker.token, { id: attacker.id, expectedVersion: 1, role: 'ADMIN' }),
    )
    await attempt("a user changes another's password", () =>
      refused('updateUser', attacker.token, { id: victim.id, expectedVersion: 1, password: attacker.password }),
    )
    await attempt('a user removes the administrator', () =>
      refused('deleteUser', attacker.token, { id: admin.id, expectedVersion: 1 }),
    )
    await attempt(
      'a viewer writes',
      async () =>
        (await refused('createFlow', viewer.token, { definition: waitingFlow('viewer') })) ??
        (await refused('startExecution', viewer.token, { flow: 'attacker/mine', input: {} })),
    )
    await attempt('a key above its owner', async () => {
      for (const more of [{ role: 'ADMIN' }, { agentRoles: ['ceo'] }, { scopes: ['AUDIT_READ'] }]) {
        const made = await client.mutate(attacker.token, 'createApiKey', { name: 'x', scopes: ['FLOWS_READ'], ...more }, 'secret')
        if (!made.secret) continue
        const { data } = await client.send(
          '{ auditEvents(first: 1) { edges { node { id } } } users(first: 1) { edges { node { id } } } }',
          { token: made.secret },
        )
        if (data?.auditEvents || data?.users) return `${JSON.stringify(more)} reads what its owner may not`
      }
      return undefined
    })
    await attempt('a key beyond its scopes', async () => {
      const { secret } = await client.mutate(attacker.token, 'createApiKey', { name: 'x', scopes: ['FLOWS_READ'] }, 'secret')
      if (!secret) return 'no key could be made'
      for (const [field, input] of Object.entries({
        createFlow: { definition: waitingFlow('by_key') },
        startExecution: { flow: 'mine', input: {} },
        createApiKey: { name: 'y', scopes: ['FLOWS_READ'] },
        changePassword: { currentPassword: attacker.password, newPassword: 'Aa1-something-else-9' },
        cancelExecution: { id: own.executionId },
      })) {
        const got = await refused(field, secret, input)
        if (got) return `${field}: ${got}`
      }
      const { data } = await client.send('query ($id: ID!) { execution(id: $id) { id } }', {
        token: secret,
        variables: { id: own.executionId },
      })
      return data?.execution ? 'it reads executions' : undefined
    })
    await attempt('answering a question that is put to somebody else', () =>
      refused('answerAgentRequest', attacker.token, { id: world.things.agentRequest, decision: 'APPROVE' }),
    )
    await attempt('anonymous writes', async () => {
      for (const [field, input] of Object.entries(inputs)) {
        if (['signIn', 'requestPasswordReset'].includes(field)) continue
        const got = await refused(field, '', input)
        if (got) return `${field}: ${got}`
      }
      return undefined
    })
  },
}
