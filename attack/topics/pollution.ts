/** Keys that would change the prototype of everything, in each place that takes JSON. */
import type { Topic } from '../trial.ts'
import { waitingFlow } from '../world.ts'

const KEYS = [
  '__proto__',
  'constructor',
  'prototype',
  '__defineGetter__',
  'toString',
  'hasOwnProperty',
  'valueOf',
  'toJSON',
  'then',
]
const MARK = 'polluted-by-an-attack'

export const pollution: Topic = {
  name: 'pollution',
  about: 'prototype keys in variables, inputs, definitions, labels and extensions',
  async run({ world, attempt }) {
    const { client, attacker } = world
    const { token } = attacker
    for (const key of KEYS) {
      const nested = `{"${key}":{"${MARK}":true,"role":"ADMIN","isAdmin":true,"length":1e9}}`
      const bodies: Record<string, string> = {
        variables: `{"query":"query ($id: ID!) { execution(id: $id) { id } }","variables":{"id":"x","${key}":${nested}}}`,
        'the body': `{"query":"{ viewer { id } }","${key}":${nested}}`,
        extensions: `{"query":"{ viewer { id } }","extensions":${nested}}`,
        'an input': `{"query":"mutation ($i: StartExecutionInput!) { startExecution(input: $i) { __typename ... on StartExecutionSuccess { execution { id state } } } }","variables":{"i":{"flow":"mine","waitMs":2000,"input":${nested}}}}`,
        'an input object': `{"query":"mutation ($i: StartExecutionInput!) { startExecution(input: $i) { __typename } }","variables":{"i":{"flow":"mine","${key}":${nested}}}}`,
        'a definition': `{"query":"mutation ($i: CreateFlowInput!) { createFlow(input: $i) { __typename } }","variables":{"i":{"definition":${JSON.stringify(waitingFlow('polluting')).replace('{', `{"${key}":${nested},`)}}}}`,
        'steps of a definition': `{"query":"mutation ($i: CreateFlowInput!) { createFlow(input: $i) { __typename } }","variables":{"i":{"definition":${JSON.stringify(waitingFlow('polluting')).replace('"steps":{', `"steps":{"${key}":{"type":"transform","set":${nested}},`)}}}}`,
        metadata: `{"query":"mutation ($i: CreateFlowInput!) { createFlow(input: $i) { __typename } }","variables":{"i":{"definition":${JSON.stringify(waitingFlow('polluting')).replace('{', `{"metadata":${nested},`)}}}}`,
      }
      for (const [place, body] of Object.entries(bodies)) {
        await attempt(`${key} in ${place}`, async () => {
          const answer = await client.send('', { token, body })
          if (answer.status >= 500) return `it answered ${answer.status}`
          if (JSON.stringify(answer.errors).includes('INTERNAL')) return 'it broke'
          const later = await client.send('{ viewer { role } users(first: 1) { edges { node { id } } } }', { token })
          if (later.data?.viewer?.role === 'ADMIN' || later.data?.users) return 'it made an administrator'
          return later.text.includes(MARK) ? 'it shows in the answers of others' : undefined
        })
      }
    }
    await attempt('everybody afterwards', async () => {
      const { data, text } = await client.send('{ viewer { id role handle } flow(name: "mine") { name visibility } }', { token })
      return data?.viewer?.role === 'USER' && data.flow?.visibility === 'PRIVATE' ? undefined : text
    })
  },
}
