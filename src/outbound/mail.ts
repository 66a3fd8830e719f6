/** A mail, and the outbox in memory that development can look into. */

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

/** Enough to find the last one; more would be a store. */
const KEPT = 100

/** Keeps the last hundred mails, the newest first. */
export function createOutbox(): { send: SendMail; mails(): readonly SentMail[] } {
  let mails: readonly SentMail[] = []
  return {
    send: async (mail) => void (mails = [{ ...mail, at: new Date() }, ...mails].slice(0, KEPT)),
    mails: () => mails,
  }
}
