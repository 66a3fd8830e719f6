/** What each kind of refusal is a sign of, and of whom. */
import { expect, test } from 'vitest'
import type { AuditEntry } from '../../src/audit/audit-entry.ts'
import { auditTypeOf, ruleOf, SECURITY_KIND_NAMES, subjectId, thresholdOf } from '../../src/audit/security-kinds.ts'
import { signalOf } from '../../src/audit/security-signals.ts'
import { encodeId, newUuid } from '../../src/ids.ts'
import { DEFAULTS, NO_SECURITY_EVENTS } from '../harness/security-limits.ts'

const id = newUuid()
const ADDRESS = { kind: 'ADDRESS', id: '192.0.2.1' } as const
const USER = { kind: 'USER', id } as const
const anonymous = (type: string, errorCode: string, more: Partial<AuditEntry> = {}): AuditEntry => ({
  ...{ id, type, errorCode, severity: 'NOTICE', at: '', actorKind: 'ANONYMOUS', success: false, sign: () => Buffer.alloc(0) },
  ...more,
})
const by = (actorKind: AuditEntry['actorKind'], type: string, errorCode: string) =>
  anonymous(type, errorCode, { actorKind, actorId: id })

test.each([
  ['a wrong password', anonymous('signIn.refused', 'UNAUTHENTICATED'), 'SIGN_IN_FAILURES', [ADDRESS]],
  [
    'of an account',
    anonymous('signIn.refused', 'UNAUTHENTICATED', { metadata: { userId: encodeId('user', id) } }),
    'SIGN_IN_FAILURES',
    [ADDRESS, USER],
  ],
  ['beyond the limit of attempts', anonymous('signIn.refused', 'LIMIT_REACHED'), 'SIGN_IN_FAILURES', [ADDRESS]],
  ['a wrong old password', by('USER', 'password.changeRefused', 'UNAUTHENTICATED'), 'SIGN_IN_FAILURES', [ADDRESS, USER]],
  ['a wrong access token', anonymous('request.refused', 'UNAUTHENTICATED'), 'WRONG_TOKENS', [ADDRESS]],
  ['a wrong refresh token', anonymous('session.refused', 'UNAUTHENTICATED'), 'WRONG_TOKENS', [ADDRESS]],
  ['too many requests', by('API_KEY', 'request.refused', 'RATE_LIMITED'), 'LIMITS_REACHED', [{ kind: 'API_KEY', id }]],
  ['too many without a name', anonymous('request.refused', 'RATE_LIMITED'), 'LIMITS_REACHED', [ADDRESS]],
  ['what is forbidden', by('USER', 'flow.creationRefused', 'FORBIDDEN'), 'REFUSALS', [USER]],
  ['what needs a name', anonymous('access.refused', 'UNAUTHENTICATED'), 'REFUSALS', [ADDRESS]],
  ['an unknown agent role', by('AGENT', 'agentRole.refused', 'UNKNOWN_ROLE'), 'REFUSALS', [{ kind: 'AGENT', id }]],
])('%s', (_what, entry, kind, subjects) => {
  expect(signalOf(entry, '192.0.2.1')).toEqual({ kind, subjects })
})

test('every kind has a type of its own in the audit log, and a threshold that can be switched off unless once is enough', () => {
  expect(new Set(SECURITY_KIND_NAMES.map(auditTypeOf)).size).toBe(SECURITY_KIND_NAMES.length)
  expect(auditTypeOf('SIGN_IN_FAILURES')).toBe('security.signInFailures')
  for (const kind of SECURITY_KIND_NAMES) {
    const usual = thresholdOf(kind, USER, DEFAULTS)
    expect(thresholdOf(kind, USER, NO_SECURITY_EVENTS)).toBe(usual === 1 ? 1 : Infinity)
    expect(thresholdOf(kind, { kind: 'EVERYBODY' }, DEFAULTS)).toBe(usual * (ruleOf(kind).together ?? Infinity))
  }
})

test('a subject is told by its readable id', () => {
  expect(subjectId(USER)).toBe(encodeId('user', id))
  expect(subjectId({ kind: 'AGENT', id })).toBe(encodeId('apiKey', id))
  expect(subjectId(ADDRESS)).toBe('192.0.2.1')
  expect(subjectId({ kind: 'EVERYBODY', id: '' })).toBeUndefined()
})
