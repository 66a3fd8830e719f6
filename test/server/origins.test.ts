/** Which origins are the server's own. */
import { expect, test } from 'vitest'
import { loadConfig } from '../../src/config/config.ts'
import { createOriginRule } from '../../src/server/origins.ts'

const rule = (host: string, publicUrl?: string) =>
  createOriginRule({ host, publicUrl, allowedOrigins: ['https://app.example.com'] }, 4000)

test('bound to loopback, every name of loopback with its port is its own, and no other', () => {
  const allows = rule('127.0.0.1')
  expect(
    ['http://127.0.0.1:4000', 'http://localhost:4000', 'http://[::1]:4000'].every((origin) => allows(origin, undefined)),
  ).toBe(true)
  for (const origin of [
    'http://localhost:4001',
    'https://localhost:4000',
    'http://localhost',
    'null',
    '',
    'http://evil.example:4000',
  ]) {
    expect(allows(origin, 'evil.example:4000'), origin).toBe(false)
  }
})

test('bound to every address, a page of the host that was asked is its own', () => {
  const allows = rule('0.0.0.0')
  expect(allows('http://box.example:4000', 'box.example:4000')).toBe(true)
  expect(allows('http://evil.example:4000', 'box.example:4000')).toBe(false)
  expect(allows('null', 'box.example:4000')).toBe(false)
})

test('behind a proxy, the public address is its own', () => {
  expect(rule('127.0.0.1', 'https://flows.example.com/')('https://flows.example.com', 'flows.example.com')).toBe(true)
})

test('the list is compared exactly', () => {
  const allows = rule('127.0.0.1')
  expect(allows('https://app.example.com', undefined)).toBe(true)
  for (const origin of [
    'http://app.example.com',
    'https://app.example.com:444',
    'https://app.example.com/',
    'https://x.app.example.com',
  ]) {
    expect(allows(origin, undefined), origin).toBe(false)
  }
})

test('unset, the list is localhost:3000 and internal-dashboard; empty, it is the server alone (E4)', () => {
  const own = ['http://127.0.0.1:4000', 'http://localhost:4000', 'http://[::1]:4000']
  const candidates = [
    ...own,
    'http://localhost:3000',
    'http://internal-dashboard',
    'https://internal-dashboard',
    'http://evil.example',
  ]
  const allowed = (environment: Record<string, string>) => {
    const allows = createOriginRule(loadConfig(environment, { mode: 'start' }).server, 4000)
    return candidates.filter((origin) => allows(origin, 'evil.example'))
  }
  expect(allowed({})).toEqual([...own, 'http://localhost:3000', 'http://internal-dashboard'])
  expect(allowed({ CORS_ALLOWED_ORIGINS: '' })).toEqual(own)
  expect(allowed({ CORS_ALLOWED_ORIGINS: ' http://evil.example , http://internal-dashboard' })).toEqual([
    ...own,
    'http://internal-dashboard',
    'http://evil.example',
  ])
})

test.each(['*', 'null', 'https://*.example.com', 'https://app.example.com/', 'app.example.com', 'file:///'])(
  'the list cannot hold %s (E4, B13)',
  (origin) => {
    expect(() => loadConfig({ CORS_ALLOWED_ORIGINS: origin }, { mode: 'start' })).toThrow('CORS_ALLOWED_ORIGINS')
  },
)
