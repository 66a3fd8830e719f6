/**
 * Mails to people, asked for in the transaction of what they tell of, and written when they are sent. Whoever asks does the same
 * work whether there is such an account or not; what a mail carries (a token) is made here and stored as a hash alone.
 */
import type { EntityManager } from '@mikro-orm/postgresql'
import { queryIn } from '../database/database.ts'
import type { Database } from '../database/database.ts'
import { newUuid } from '../ids.ts'
import type { Logger } from '../log.ts'
import { createTrouble } from '../trouble.ts'
import type { Mail, SendMail } from '../outbound/mail.ts'
import { issueReset, RESET_MINUTES, withdrawReset } from './password-resets.ts'

export type MailKind = 'PASSWORD_RESET' | 'PASSWORD_CHANGED'

const SWEEP_MS = 5_000
const AT_ONCE = 10
/** After these minutes it is tried again; then it is given up. */
const RETRY_AFTER_MINUTES = [1, 5, 15]

/** Asks for a mail to the account (see `accountOf`), in `em`'s transaction; nothing is sent where there is no such account. */
export async function requestMail(em: EntityManager, kind: MailKind, account: string): Promise<void> {
  await queryIn(em, 'insert into sluice.mail_requests (id, kind, account) values ($1, $2, $3)', [newUuid(), kind, account])
}

export interface MailRoomOptions {
  readonly database: Database
  /** none: what is asked for is dropped, and the log says so */
  readonly send: SendMail | undefined
  /** the page where a new password is chosen; the token follows as `#token=` */
  readonly passwordResetUrl: string | undefined
  readonly log: Logger
}

export interface MailRoom {
  /** Sends what is due. Never rejects. */
  runOnce(): Promise<void>
  /** Something is due. */
  wake(): void
  start(): void
  stop(): Promise<void>
}

export function createMailRoom({ database, send, passwordResetUrl, log }: MailRoomOptions): MailRoom {
  let running: Promise<void> | undefined
  let woken = false
  let timer: NodeJS.Timeout | undefined

  async function deliver({ id, kind, account, attempts }: MailRequest): Promise<void> {
    const letter = await database.transaction((em) => write(em, kind, account))
    try {
      if (letter && send) await send(letter.mail)
      else if (letter) log.warn({ mail: id, type: kind }, 'no mail was sent: no SMTP server is configured')
      await database.query('delete from sluice.mail_requests where id = $1', [id])
    } catch (error) {
      const { token } = letter!
      if (token) await database.transaction((em) => withdrawReset(em, token))
      const given = attempts > RETRY_AFTER_MINUTES.length
      if (given) await database.query('delete from sluice.mail_requests where id = $1', [id])
      // the text of such errors may hold addresses
      const { code, responseCode: smtpStatus } = error as { code?: string; responseCode?: number }
      log.error(
        { mail: id, type: kind, attempt: attempts, code, smtpStatus },
        given ? 'a mail was given up' : 'a mail could not be sent',
      )
    }
  }

  /** The mail, unless there is nobody to get it. */
  async function write(em: EntityManager, kind: MailKind, account: string): Promise<Letter | undefined> {
    const [user] = await queryIn<{ id: string; email: string; name: string }>(em, RECIPIENT, [account])
    if (!user) return undefined
    if (kind === 'PASSWORD_CHANGED') return { mail: { to: user.email, ...passwordChanged(user.name) } }
    const token = await issueReset(em, user.id)
    return token ? { mail: { to: user.email, ...passwordReset(user.name, token, passwordResetUrl) }, token } : undefined
  }

  const trouble = createTrouble({ log, message: 'mails could not be looked for' })

  async function take(): Promise<number> {
    const due = await database.query<MailRequest>(TAKE)
    await Promise.all(due.map(deliver))
    return due.length
  }

  async function run(): Promise<void> {
    try {
      do {
        woken = false
        while ((await take()) > 0);
      } while (woken)
      trouble.worked()
    } catch (error) {
      trouble.failed(error)
    }
    running = undefined
  }
  const runOnce = (): Promise<void> => (running ??= run())

  return {
    runOnce,
    wake() {
      woken = true
      void runOnce()
    },
    start: () => void (timer = setInterval(() => void runOnce(), SWEEP_MS).unref()),
    async stop() {
      clearInterval(timer)
      await running
    },
  }
}

interface Letter {
  mail: Mail
  token?: string
}

interface MailRequest {
  id: string
  kind: MailKind
  account: string
  attempts: number
}

/** Whoever takes a request has it until it would be due again. */
const TAKE = `
update sluice.mail_requests set attempts = attempts + 1,
  due_at = now() + make_interval(mins => (array[${RETRY_AFTER_MINUTES.join()}])[least(attempts + 1, ${RETRY_AFTER_MINUTES.length})])
where id in (select id from sluice.mail_requests where due_at <= now() order by due_at limit ${AT_ONCE} for update skip locked)
returning id, kind, account, attempts`

/** Locked, so that tokens of one user are counted one after the other. */
const RECIPIENT = `
select id, email, name from sluice.users where lower(email) = $1 and disabled_at is null for no key update`

const passwordReset = (name: string, token: string, page: string | undefined): Omit<Mail, 'to'> => ({
  subject: 'Choose a new password',
  text: `Hello ${name},

somebody, hopefully you, asked for a new password for your Sluice account. ${
    page ? `Choose it here:\n\n  ${page}#token=${token}` : `This token lets you choose it (mutation resetPassword):\n\n  ${token}`
  }

It is good once, for ${RESET_MINUTES} minutes. If it was not you, do nothing: your password stays as it is.
`,
})

const passwordChanged = (name: string): Omit<Mail, 'to'> => ({
  subject: 'Your password was changed',
  text: `Hello ${name},

the password of your Sluice account was just changed. If it was not you, ask for a new one at once, and tell an administrator.
`,
})
