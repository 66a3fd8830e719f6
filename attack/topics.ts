/** Every topic of attack, in the order in which they run. A new one is a file in `topics/` and a line here. */
import { amplification } from './topics/amplification.ts'
import { bodies } from './topics/bodies.ts'
import { crossSite } from './topics/cross-site.ts'
import { enumeration } from './topics/enumeration.ts'
import { injection } from './topics/injection.ts'
import { leakage } from './topics/leakage.ts'
import { limits } from './topics/limits.ts'
import { massAssignment } from './topics/mass-assignment.ts'
import { otherPeoplesThings } from './topics/other-peoples-things.ts'
import { outbound } from './topics/outbound.ts'
import { patterns } from './topics/patterns.ts'
import { pollution } from './topics/pollution.ts'
import { queries } from './topics/queries.ts'
import { sessions } from './topics/sessions.ts'
import { sockets } from './topics/sockets.ts'
import { tokens } from './topics/tokens.ts'
import { transport } from './topics/transport.ts'
import type { Topic } from './trial.ts'

export const TOPICS: readonly Topic[] = [
  ...[amplification, crossSite, tokens, sessions, otherPeoplesThings, enumeration, massAssignment],
  ...[injection, queries, patterns, pollution, bodies, transport, sockets, outbound, limits],
  // last: it looks at what all the others left in answers and logs
  leakage,
]
