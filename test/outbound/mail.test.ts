/** Mail by SMTP, to a server that says only what the protocol needs; and the outbox that keeps it instead. */
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { createOutbox } from '../../src/outbound/mail.ts'
import { createSmtp } from '../../src/outbound/smtp.ts'

const MAIL = { to: 'somebody@example.com', subject: 'Hello', text: 'A word\n.\nand another one' }

/** Offers no STARTTLS. RFC 5321. */
async function smtpServer() {
  const lines: string[] = []
  const server = createServer((socket) => {
    let inData = false
    socket.write('220 ready\r\n')
    socket.on('error', () => undefined)
    socket.on('data', (chunk) => {
      for (const line of String(chunk).split('\r\n').slice(0, -1)) {
        lines.push(line)
        if (inData && line !== '.') continue
        inData = line.startsWith('DATA')
        if (line.startsWith('EHLO')) socket.write('250-here\r\n250 AUTH PLAIN\r\n')
        else if (line.startsWith('AUTH')) socket.write('235 in\r\n')
        else if (line.startsWith('STARTTLS')) socket.write('502 no\r\n')
        else if (line.startsWith('QUIT')) socket.end('221 bye\r\n')
        else socket.write(inData ? '354 go on\r\n' : '250 ok\r\n')
      }
    })
  }).listen(0, '::')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return { port: (server.address() as AddressInfo).port, lines }
}

test('a mail goes to the configured server, with its credentials, from the configured sender', async () => {
  const { port, lines } = await smtpServer()
  const smtp = createSmtp(`smtp://us%40er:pass%2Fword@127.0.0.1:${port}`, 'Sluice <sluice@example.com>')
  onTestFinished(() => smtp.close())
  await smtp.send(MAIL)
  const said = lines.join('\n')
  expect(said).toContain(`AUTH PLAIN ${Buffer.from('\0us@er\0pass/word').toString('base64')}`)
  expect(said).toContain('MAIL FROM:<sluice@example.com>')
  expect(said).toContain('RCPT TO:<somebody@example.com>')
  expect(said).toContain('Subject: Hello')
  expect(said).toContain('and another one')
})

test('a server on another machine that offers no TLS is told nothing (D6)', async () => {
  const { port, lines } = await smtpServer()
  // an address that is this machine's and does not look so
  const smtp = createSmtp(`smtp://user:password@[::ffff:127.0.0.1]:${port}`, 'sluice@example.com')
  onTestFinished(() => smtp.close())
  await expect(smtp.send(MAIL)).rejects.toMatchObject({ code: 'ETLS' })
  expect(lines.filter((line) => !/^(EHLO|STARTTLS|QUIT)/.test(line))).toEqual([])
})

test('no mail can be given further recipients or headers by what people call themselves', async () => {
  const { port, lines } = await smtpServer()
  const smtp = createSmtp(`smtp://127.0.0.1:${port}`, 'sluice@example.com')
  onTestFinished(() => smtp.close())
  await smtp.send({ ...MAIL, subject: 'Hello\r\nBcc: everybody@example.com', to: 'somebody@example.com' })
  expect(lines.filter((line) => line.startsWith('RCPT'))).toEqual(['RCPT TO:<somebody@example.com>'])
  expect(lines.filter((line) => /^bcc:/i.test(line))).toEqual([])
})

test('the outbox keeps the last hundred, the newest first', async () => {
  const outbox = createOutbox()
  for (let n = 0; n < 101; n += 1) await outbox.send({ ...MAIL, subject: `${n}` })
  expect(outbox.mails().map(({ subject }) => subject)).toEqual(Array.from({ length: 100 }, (_, n) => `${100 - n}`))
})
