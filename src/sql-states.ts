/** What an operator can do about what PostgreSQL answers, by its SQLSTATE. https://www.postgresql.org/docs/18/errcodes-appendix.html */

const REMEDIES: Readonly<Record<string, string>> = {
  '25006': 'it takes no writes: it is a standby, or default_transaction_read_only is on there',
  '28P01': 'check the password in the URL of the database',
  '28000': 'check the role in the URL of the database, and pg_hba.conf there',
  '3D000': 'create it, or check the URL of the database',
  '42501':
    'as the role that owns the database (DATABASE_OWNER_URL) run `sluice migrate`, which gives the role of DATABASE_URL what it needs',
  '53100': 'its disk is full: free some space there',
  '53200': 'it has no memory left: give it more, or lower its settings',
  '53300': 'raise max_connections there, or lower SLUICE_DATABASE_POOL_SIZE',
}

/** A clause that begins in lower case; undefined where its name says it all. */
export const remedyOf = (sqlState: string | undefined): string | undefined =>
  sqlState !== undefined && Object.hasOwn(REMEDIES, sqlState) ? REMEDIES[sqlState] : undefined
