/** Optional GraphQL arguments as use cases want them: null says the same as nothing. */

/** `undefined` where a client sent null. */
export type Given<T> = { [K in keyof T]: Exclude<T[K], null> }

export function given<T extends object>(args: T | null | undefined): Given<T> {
  return Object.fromEntries(Object.entries(args ?? {}).filter(([, value]) => value !== null)) as Given<T>
}
