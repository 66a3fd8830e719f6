/** Why PostgreSQL could not be used, as one sentence for the operator that says what to do. */
import { remedyOf } from '../sql-states.ts'
import { sqlState } from './database.ts'

const TRUST =
  'the certificate of PostgreSQL is not trusted: name the authority that signed it by NODE_EXTRA_CA_CERTS=/path/ca.pem, or sslrootcert=/path/ca.pem in the URL'

/** The error's own words where there is nothing to add. Never a password: neither PostgreSQL nor TLS repeats one. */
export function sayWhy(error: unknown): string {
  const { message, code = '', errors } = error as NodeJS.ErrnoException & { errors?: readonly Error[] }
  // a host with several addresses fails at each of them, without words of its own
  const own = message || (errors ?? []).map((each) => each.message).join('; ') || String(error)
  // Node's advice does not go for everybody
  const words = own.replace(/; if the root CA is installed locally.*/, '')
  const remedy = mayNotConnect(words) ?? remedyOf(sqlState(error)) ?? ofConnection(code, words)
  return remedy === undefined ? words : `${words}: ${remedy}`
}

/** As PostgreSQL says it of the right to connect. */
const mayNotConnect = (words: string): string | undefined =>
  words.startsWith('permission denied for database ')
    ? 'as the role that owns the database, `grant connect on database ... to ...` the role of the URL'
    : undefined

function ofConnection(code: string, words: string): string | undefined {
  if (code === 'ENOSPC' || code === 'EDQUOT') return 'free some space'
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID')
    return 'renew it at the server, or set the clocks of both machines'
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return 'call the server by a name that is in its certificate'
  if (/SELF_SIGNED|^UNABLE_TO_/.test(code)) return TRUST
  if (/does not support SSL/.test(words)) return 'set ssl = on there; sslmode=verify-full asks for TLS'
  if (/^E(CONNREFUSED|NOTFOUND|AI_AGAIN|HOSTUNREACH|TIMEDOUT)$/.test(code))
    return 'is PostgreSQL there, as the URL of the database says?'
  return undefined
}
