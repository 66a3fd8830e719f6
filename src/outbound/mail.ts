/** Mail that leaves: by SMTP when a server is configured, else into an outbox in memory that development can look into. */
import { createTransport } from 'nodemailer'
import type { MailConfig } from '../config-types.ts'

export interface Mail {
  readonly to: string
  readonly subject: string
  readonly text: string
}

export interface SentMail extends Mail {
  readonly at: Date
}

/** Resolves when the mail was taken; rejects with an error whose text may hold addresses: never log it whole. */
export type SendMail = (mail: Mail) => Promise<void>

const TIMEOUT_MS = 10_000
/** Enough to find the last one; more would be a store. */
const KEPT = 100

/** `url`: `smtps://user:password@host:465`, or `smtp://host:587`, which must offer STARTTLS unless it is on this machine. */
export function createSmtp(url: string, from: string): { send: SendMail; close(): void } {
  const { protocol, hostname, port, username, password } = new URL(url)
  const secure = protocol === 'smtps:'
  const transport = createTransport({
    host: hostname.replace(/^\[|\]$/g, ''),
    port: port ? Number(port) : secure ? 465 : 587,
    secure,
    requireTLS: !secure && !isLoopback(hostname),
    ...(username && { auth: { user: decodeURIComponent(username), pass: decodeURIComponent(password) } }),
    connectionTimeout: TIMEOUT_MS,
    greetingTimeout: TIMEOUT_MS,
    socketTimeout: TIMEOUT_MS,
    disableFileAccess: true,
    disableUrlAccess: true,
  })
  return {
    send: async (mail) => void (await transport.sendMail({ ...mail, from })),
    close: () => transport.close(),
  }
}

const isLoopback = (host: string): boolean => host === 'localhost' || host === '[::1]' || host.startsWith('127.')

/** Keeps the last hundred mails, the newest first. */
export function createOutbox(): { send: SendMail; mails(): readonly SentMail[] } {
  let mails: readonly SentMail[] = []
  return {
    send: async (mail) => void (mails = [{ ...mail, at: new Date() }, ...mails].slice(0, KEPT)),
    mails: () => mails,
  }
}

/** By SMTP; without a server, in development, into an outbox; else there is no `send`. `kept`: what the outbox has. */
export function openMail(
  { smtpUrl, from }: MailConfig,
  development: boolean,
): { send?: SendMail; kept?: () => readonly SentMail[]; close(): void } {
  if (smtpUrl) return createSmtp(smtpUrl, from)
  if (!development) return { close: () => undefined }
  const outbox = createOutbox()
  return { send: outbox.send, kept: outbox.mails, close: () => undefined }
}
