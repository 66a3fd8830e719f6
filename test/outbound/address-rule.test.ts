/** The rule of addresses, against IANA's registries of special addresses and against what operators allow. */
import fc from 'fast-check'
import ipaddr from 'ipaddr.js'
import { describe, expect, test } from 'vitest'
import { createAddressRule, isAllowable } from '../../src/outbound/address-rule.ts'

const PORTS = [80, 443]
const rule = createAddressRule({ allow: [], ports: PORTS })
const may = (address: string, allow: string[] = [], port = 80, hostname = 'somewhere.example'): boolean =>
  createAddressRule({ allow, ports: PORTS }).mayConnect({ hostname, port }, address)

/** https://www.iana.org/assignments/iana-ipv4-special-registry, with multicast. */
const SPECIAL_4 = [
  ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.0.0.0/24'],
  ...['192.0.2.0/24', '192.31.196.0/24', '192.52.193.0/24', '192.88.99.0/24', '192.168.0.0/16', '192.175.48.0/24'],
  ...['198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24', '224.0.0.0/4', '240.0.0.0/4', '255.255.255.255/32'],
]
/** https://www.iana.org/assignments/iana-ipv6-special-registry, with what was once special, and what carries IPv4. */
const SPECIAL_6 = [
  ...['::/128', '::1/128', '::/96', '::ffff:0:0/96', '::ffff:0:0:0/96', '64:ff9b::/96', '64:ff9b:1::/48', '100::/64'],
  ...['100:0:0:1::/64', '2001::/23', '2001::/32', '2001:1::1/128', '2001:2::/48', '2001:3::/32', '2001:4:112::/48'],
  ...['2001:10::/28', '2001:20::/28', '2001:30::/28', '2001:db8::/32', '2002::/16', '2620:4f:8000::/48', '3fff::/20'],
  ...['5f00::/16', 'fc00::/7', 'fe80::/10', 'fec0::/10', 'ff00::/8'],
]
const PUBLIC = ['1.1.1.1', '8.8.8.8', '93.184.216.34', '172.15.255.255', '172.32.0.0', '100.63.255.255', '100.128.0.0']
const PUBLIC_6 = ['2606:4700:4700::1111', '2a00:1450:4001:800::200e', '2400:cb00::1', '2001:200::1']

/** Any address inside of a network. */
function inside(cidr: string): fc.Arbitrary<string> {
  const [network, bits] = ipaddr.parseCIDR(cidr)
  const bytes = network.toByteArray()
  return fc.uint8Array({ minLength: bytes.length, maxLength: bytes.length }).map((chance) => {
    const mixed = bytes.map((byte, i) => {
      const fixed = Math.max(0, Math.min(8, bits - i * 8))
      const mask = (0xff << (8 - fixed)) & 0xff
      return (byte & mask) | (chance[i]! & ~mask & 0xff)
    })
    return ipaddr.fromByteArray(mixed).toString()
  })
}

describe('the rule of addresses (B15)', () => {
  test.each([...SPECIAL_4, ...SPECIAL_6])('nothing in %s may be called', (cidr) => {
    fc.assert(fc.property(inside(cidr), (address) => !may(address)))
  })

  test.each([...PUBLIC, ...PUBLIC_6])('the public address %s may be', (address) => {
    expect(may(address)).toBe(true)
  })

  test('an IPv6 address that carries an IPv4 address may not be called, wherever that one leads', () => {
    fc.assert(
      fc.property(fc.ipV4(), (v4) => {
        const [a, b, c, d] = v4.split('.').map(Number) as [number, number, number, number]
        const tail = `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`
        const carriers = [`::ffff:${tail}`, `::${tail}`, `64:ff9b::${tail}`, `2002:${tail}::1`, `2a00:1::5efe:${tail}`]
        return [...carriers, `2a00:1::200:5efe:${tail}`].every((carrier) => !may(carrier))
      }),
    )
  })

  test('what is no plain address is none', () => {
    const strange = ['2130706433', '0x7f000001', '0177.0.0.1', '127.1', '8.8.8', 'fe80::1%eth0', '', 'localhost', '1.2.3.4.5']
    expect(strange.filter((address) => may(address))).toEqual([])
  })

  test('only the ports that are open may be called', () => {
    const open = [80, 443, 22, 25, 5432, 6379, 8080].filter((port) => rule.mayCall({ hostname: 'example.com', port }))
    expect(open).toEqual(PORTS)
  })
})

describe('what the operator allows', () => {
  test('a network, or an address, opens it on the open ports alone', () => {
    expect(may('10.1.2.3', ['10.1.0.0/16'])).toBe(true)
    expect(may('10.2.2.3', ['10.1.0.0/16'])).toBe(false)
    expect(may('::ffff:10.1.2.3', ['10.1.0.0/16'])).toBe(false)
    expect(may('fd00::5', ['fd00::/8'])).toBe(true)
    expect(may('169.254.169.254', ['169.254.169.254'])).toBe(true)
    const opened = createAddressRule({ allow: ['127.0.0.1'], ports: PORTS })
    expect(opened.mayCall({ hostname: '127.0.0.1', port: 80 })).toBe(true)
    expect(opened.mayCall({ hostname: '127.0.0.1', port: 6379 })).toBe(false)
  })

  test('a host with a port opens this port of it, wherever its name leads in private networks', () => {
    const allow = ['billing.internal:8080', '127.0.0.1:9000', '[::1]:9001']
    const opened = createAddressRule({ allow, ports: PORTS })
    const target = { hostname: 'billing.internal', port: 8080 }
    expect(opened.mayCall(target)).toBe(true)
    for (const address of ['10.0.0.9', '127.0.0.1', 'fd00::9', '100.64.0.9', '8.8.8.8'])
      expect(opened.mayConnect(target, address)).toBe(true)
    for (const address of ['169.254.169.254', '224.0.0.1', '0.0.0.0', '::ffff:10.0.0.9', 'fe80::1'])
      expect(opened.mayConnect(target, address)).toBe(false)
    expect(opened.mayCall({ hostname: 'billing.internal', port: 8081 })).toBe(false)
    expect(opened.mayConnect({ hostname: 'other.internal', port: 8080 }, '10.0.0.9')).toBe(false)
    expect(opened.mayCall({ hostname: '127.0.0.1', port: 9000 })).toBe(true)
    expect(opened.mayCall({ hostname: '::1', port: 9001 })).toBe(true)
  })

  test('is written as a network, an address or a host with a port, and as nothing else', () => {
    expect(
      ['10.0.0.0/8', 'fd00::/8', '10.1.2.3', '::1', 'a.example:80', '[::1]:80'].filter((text) => !isAllowable(text)),
    ).toEqual([])
    const wrong = [
      'example.com',
      '10.0.0.0/33',
      'http://a.example:80',
      'a.example:80/x',
      'u@a.example:80',
      'a:b:80',
      '',
      '*:80',
      '0.0.0.0/0',
      '::/0',
    ]
    expect(wrong.filter(isAllowable)).toEqual([])
  })
})
