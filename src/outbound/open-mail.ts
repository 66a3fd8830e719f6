/** Mail that leaves: by SMTP when a server is configured, else, in development, into an outbox. */
import type { MailConfig } from '../config/config-types.ts'
import { createOutbox } from './mail.ts'
import type { SendMail, SentMail } from './mail.ts'

/** By SMTP; without a server, in development, into an outbox; else there is no `send`. `kept`: what the outbox has. */
export async function openMail(
  { smtpUrl, from }: MailConfig,
  development: boolean,
): Promise<{ send?: SendMail; kept?: () => readonly SentMail[]; close(): void }> {
  if (smtpUrl) return (await import('./smtp.ts')).createSmtp(smtpUrl, from)
  if (!development) return { close: () => undefined }
  const outbox = createOutbox()
  return { send: outbox.send, kept: outbox.mails, close: () => undefined }
}
