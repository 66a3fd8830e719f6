import { describe, expect, test } from 'vitest'
import { createClientAddress } from '../../src/server/client-address.ts'

const ask = (trusted: string[], remoteAddress: string | undefined, forwarded?: string | string[]) =>
  createClientAddress(trusted)({ socket: { remoteAddress }, headers: { 'x-forwarded-for': forwarded } } as never)

describe('the address of a client (B3)', () => {
  test('is the other end of the connection when no proxy is trusted', () => {
    expect(ask([], '198.51.100.7', '192.0.2.1')).toBe('198.51.100.7')
    expect(ask(['10.0.0.1'], '198.51.100.7', '192.0.2.1')).toBe('198.51.100.7')
    expect(ask(['10.0.0.1'], undefined, '192.0.2.1')).toBeUndefined()
  })

  test.each([
    ['one proxy', '192.0.2.1', '192.0.2.1'],
    ['what the client wrote before it', '203.0.113.9, 192.0.2.1', '192.0.2.1'],
    ['a chain of our own', '203.0.113.9, 192.0.2.1, 10.0.0.2, 10.0.0.3', '192.0.2.1'],
    ['nobody but our own: the farthest', '10.0.0.9, 10.0.0.8', '10.0.0.9'],
    ['a client that names one of ours first', '10.0.0.2, 192.0.2.1', '192.0.2.1'],
    ['ports', '203.0.113.9, 192.0.2.1:4711', '192.0.2.1'],
    ['IPv6', '2001:DB8::1', '2001:db8::1'],
    ['IPv6 with a port', '[2001:db8::1]:4711', '2001:db8::1'],
    ['IPv4 written as IPv6', '::ffff:192.0.2.1', '192.0.2.1'],
    ['nothing', undefined, '10.0.0.1'],
    ['an empty header', '', '10.0.0.1'],
    ['no address', '192.0.2.1, unknown', '10.0.0.1'],
    ['an address in a form of its own', '3221225985', '10.0.0.1'],
    ['an address in hexadecimal', '0xc0000201', '10.0.0.1'],
    ['an empty place', '192.0.2.1, ', '10.0.0.1'],
    ['no address behind one of ours', 'unknown, 10.0.0.5', '10.0.0.5'],
  ])('is read from the end of the header: %s', (_what, forwarded, expected) => {
    expect(ask(['10.0.0.0/8'], '10.0.0.1', forwarded)).toBe(expected)
  })

  test('several headers are one list', () => {
    expect(ask(['10.0.0.0/8'], '10.0.0.1', ['203.0.113.9', '192.0.2.1, 10.0.0.2'])).toBe('192.0.2.1')
  })

  test('trust is by kind of address: a network of IPv6 trusts no IPv4, and a mapped address is IPv4', () => {
    expect(ask(['2001:db8::/32'], '10.0.0.1', '192.0.2.1')).toBe('10.0.0.1')
    expect(ask(['2001:db8::/32'], '2001:db8::5', '192.0.2.1')).toBe('192.0.2.1')
    expect(ask(['10.0.0.0/8'], '::ffff:10.0.0.1', '192.0.2.1')).toBe('192.0.2.1')
    expect(ask(['10.0.0.1'], '::ffff:10.0.0.1', '192.0.2.1')).toBe('192.0.2.1')
    expect(ask(['10.0.0.1'], '10.0.0.2', '192.0.2.1')).toBe('10.0.0.2')
  })

  test('a header as long as a request may have is read in no time', () => {
    const begun = performance.now()
    expect(ask(['10.0.0.0/8'], '10.0.0.1', Array(2_000).fill('10.0.0.1').join(','))).toBe('10.0.0.1')
    expect(performance.now() - begun).toBeLessThan(200)
  })
})
