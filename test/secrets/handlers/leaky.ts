/** Handlers that show the secret they were given in every way they can think of. */
import { defineHandler } from '../../../src/engine/handlers/define-handler.ts'

type Way = { way: string }

export const leak = defineHandler({
  name: 'leak',
  run: ({ way }: Way, { secret, log }) => {
    const value = secret('stripe_key')
    const buffer = Buffer.from(value)
    switch (way) {
      case 'everything':
        log(`calling with ${value}`)
        log(`${'.'.repeat(1_990)}${value}`)
        console.log(value)
        process.stderr.write(`${value}\n`)
        return {
          headers: { authorization: `Bearer ${value}`, 'x-custom': value },
          body: JSON.stringify({ nested: { key: value } }),
          twice: JSON.stringify(JSON.stringify({ key: value })),
          url: `https://api.example.com/v1?key=${encodeURIComponent(value)}&a=1`,
          form: new URLSearchParams({ key: value }).toString(),
          userinfo: `https://user:${value}@example.com`,
          nested: { list: [1, { deep: [value] }] },
          base64: buffer.toString('base64'),
          base64url: buffer.toString('base64url'),
          basic: `Basic ${Buffer.from(`me:${value}`).toString('base64')}`,
          hex: buffer.toString('hex'),
          [value]: 'as a key',
          fine: 'nothing here',
          length: value.length,
        }
      case 'throw':
        throw new Error(`the service refused the key ${value}`)
      case 'cut':
        throw new Error(`${'x'.repeat(1_990)}${value}`)
      case 'log':
        log(value)
        return null
      case 'stray':
        setTimeout(() => {
          throw new Error(`left behind: ${value}`)
        }, 5)
        return new Promise((resolve) => setTimeout(resolve, 10_000))
      case 'crash':
        process.stderr.write(value)
        return process.exit(3)
      case 'other':
        return secret('not_named')
      default:
        return null
    }
  },
})

/** What is left in a process that another attempt had before. */
export const look = defineHandler({
  name: 'look',
  run: (_input, context) => ({
    pid: process.pid,
    environment: { ...process.env },
    arguments: process.argv,
    context: { ...context },
  }),
})
