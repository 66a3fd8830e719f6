/** What a process of a drill runs: the program itself, which ends when the drill is gone, however that ended. */
process.stdin.on('end', () => process.exit(1)).resume()
await import('../main.ts')
