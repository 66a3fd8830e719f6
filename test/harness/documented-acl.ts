/** Users of Redis as docs/agents.md tells operators to make them, to the letter. */
import { readFileSync } from 'node:fs'
import type { Redis } from 'ioredis'

const BLOCK = /^```text acl\n([^]*?)^```$/m

/** Makes the user of this name, whose password is its name; answers the URL that it comes in by. */
export async function documentedUser(redis: Redis, name: string, fingerprint = ''): Promise<string> {
  const page = readFileSync(new URL('../../docs/agents.md', import.meta.url), 'utf8')
  const lines = BLOCK.exec(page)![1]!.split(/^(?=ACL )/m)
  const line = lines.find((one) => one.startsWith(`ACL SETUSER ${name} `))!
  const [command, ...args] = line
    .replaceAll('PASSWORD', name)
    .replaceAll('FINGERPRINT', fingerprint)
    .match(/\([^)]*\)|\S+/g)!
  await redis.call(command, ...args.map((word) => word.replaceAll(/\s+/g, ' ')))
  const { host, port } = redis.options
  return `redis://${name}:${name}@${host}:${port}`
}
