/** Loaded before the program by `bootstrap.mjs`: when the parent is killed, this process gets the SIGTERM it would have passed on. */
process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'))
// Watching keeps nothing alive.
process.channel?.unref()
