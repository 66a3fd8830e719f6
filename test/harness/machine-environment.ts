/** What programs that tests start are told of the machine; nothing else of the environment in which the tests run. */
const { PATH = '', HOME = '', TMPDIR = '', NODE_COMPILE_CACHE = '' } = process.env

export const MACHINE: Readonly<Record<string, string>> = { PATH, HOME, TMPDIR, NODE_COMPILE_CACHE }
