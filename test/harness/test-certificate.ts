/** A certificate of a test file's own, for 127.0.0.1, which vouches for itself. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface TestCertificate {
  readonly certFile: string
  readonly keyFile: string
  /** what whoever is to trust it needs, as a file it is `certFile` */
  readonly ca: string
}

/** Made in a directory of the caller's. */
export function testCertificate(directory: string): TestCertificate {
  const [certFile, keyFile] = [join(directory, 'tls.crt'), join(directory, 'tls.key')]
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', keyFile]
  const about = ['-subj', '/CN=sluice test', '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '1']
  execFileSync('openssl', ['req', '-x509', ...key, ...about, '-out', certFile], { stdio: 'ignore' })
  return { certFile, keyFile, ca: readFileSync(certFile, 'utf8') }
}
