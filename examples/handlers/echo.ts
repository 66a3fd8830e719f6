/** Gives back what it is given: the smallest handler, for trying things out. */
import { defineHandler } from '../../src/engine/handlers/define-handler.ts'

export default defineHandler({ name: 'echo', run: (input) => input })

/** The same in the worker's own thread: what a trusted handler costs without a process. */
export const inlineEcho = defineHandler({ name: 'inline_echo', inline: true, run: (input) => input })
