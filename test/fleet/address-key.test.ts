import { expect, test } from 'vitest'
import { addressKey } from '../../src/fleet/address-key.ts'

test('all addresses of one IPv6 subscriber are one, and an IPv4 address is itself however it is written (B3)', () => {
  expect(addressKey('2001:db8:1:2:3:4:5:6')).toBe('2001:db8:1:2::/64')
  expect(addressKey('2001:DB8:1:2::')).toBe('2001:db8:1:2::/64')
  expect(addressKey('2001:db8:1:3::1')).toBe('2001:db8:1:3::/64')
  expect(addressKey('fe80::1%eth0')).toBe('fe80::/64')
  expect(addressKey('192.0.2.1')).toBe('192.0.2.1')
  expect(addressKey('::ffff:192.0.2.1')).toBe('192.0.2.1')
  expect(addressKey('::ffff:c000:201')).toBe('192.0.2.1')
})

test('what is no address is a key too, and a short one', () => {
  expect(addressKey(undefined)).toBe('unknown')
  expect(addressKey('x'.repeat(10_000))).toHaveLength(64)
  expect(addressKey(':'.repeat(10_000))).toHaveLength(64)
})
