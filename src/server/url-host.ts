/** How an address that a server listens at stands in a URL. */

/** `0.0.0.0` and `::` are every address; a browser wants one. */
export function urlHost(host: string): string {
  if (host === '0.0.0.0' || host === '::') return 'localhost'
  return host.includes(':') ? `[${host}]` : host
}
