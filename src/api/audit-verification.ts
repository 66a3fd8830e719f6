/** Whether the audit log is as it was written, for administrators. */
import type { Checkpoint } from '../audit/checkpoint.ts'
import type { AuditVerification, VerifiedPlace } from '../audit/verify-audit.ts'
import { encodeId } from '../ids.ts'
import { Fault } from '../errors.ts'
import { verifyAuditLog } from '../operations/audit/verify-audit.ts'
import { builder } from './builder.ts'

const DEFAULT_ROWS = 1_000
const MAX_ROWS = 10_000
const CURSOR = /^seal:(0|[1-9]\d{0,14})(?::(0|[1-9]\d{0,19}):([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}))?$/

const AuditCheckpoint = builder.objectRef<Checkpoint>('AuditCheckpoint').implement({
  description:
    'Where the audit log begins since its oldest part was removed by its age: signed, so that nobody else can have cut it.',
  fields: (t) => ({
    sealedThrough: t.expose('sealedAt', { type: 'DateTime', description: 'When the last of what was removed had been sealed.' }),
    events: t.exposeFloat('events', { description: 'How many events were ever removed.' }),
    removedAt: t.expose('madeAt', { type: 'DateTime', description: 'When the last of them were.' }),
  }),
})

const AuditVerificationRef = builder.objectRef<AuditVerification>('AuditVerification').implement({
  description:
    'What one page of the audit log looks like: every row is signed, and seals chain them in the order of their commits.',
  fields: (t) => ({
    intact: t.exposeBoolean('intact', { description: 'Nothing of this page was changed, cut out, added or moved.' }),
    checked: t.exposeInt('checked', { description: 'Events that were looked at and are as they were written.' }),
    firstBrokenId: t.id({
      nullable: true,
      description:
        'The first event that is not as it was or not there; null when nothing is broken, or when nothing says which it was.',
      resolve: ({ broken }) => (broken?.id ? encodeId('auditEvent', broken.id) : null),
    }),
    reason: t.string({
      nullable: true,
      description: 'What is broken, in words.',
      resolve: ({ broken }) => broken?.why ?? null,
    }),
    sealedThrough: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When the last seal of this page was made; null when nothing is sealed yet.',
      resolve: ({ sealedThrough }) => (sealedThrough === undefined ? null : new Date(sealedThrough)),
    }),
    unsealedForMs: t.exposeFloat('unsealedForMs', {
      description:
        'How long the oldest event without a seal has waited for one, in milliseconds: until then, nobody could tell that it was deleted.',
    }),
    checkpoint: t.field({
      type: AuditCheckpoint,
      nullable: true,
      description: 'What was removed by its age before the log begins; null when nothing was.',
      resolve: ({ checkpoint }) => checkpoint ?? null,
    }),
    complete: t.exposeBoolean('complete', { description: 'The end of the log was reached.' }),
    endCursor: t.string({
      nullable: true,
      description: 'Go on from here with `after`; null when there is nothing.',
      resolve: ({ position, place }) => (place || position > 0 ? encodeCursor(place ?? { position }) : null),
    }),
  }),
})

builder.queryField('auditVerification', (t) =>
  t.field({
    type: AuditVerificationRef,
    authScopes: { may: 'AUDIT_READ' },
    description: 'Verifies the audit log, a page at a time. For administrators.',
    complexity: ({ first }) => 10 + Math.ceil((first ?? DEFAULT_ROWS) / 10),
    args: {
      after: t.arg.string({ description: 'Go on behind an earlier page, which was intact.' }),
      first: t.arg.int({ description: `At most about so many events, 1 to ${MAX_ROWS}; ${DEFAULT_ROWS} unless said otherwise.` }),
    },
    resolve: (_root, { after, first }, call) => {
      const limit = first ?? DEFAULT_ROWS
      if (limit < 1 || limit > MAX_ROWS) throw new Fault('BAD_REQUEST', `\`first\` must be from 1 to ${MAX_ROWS}.`)
      return verifyAuditLog(call, { after: after == null ? { position: 0 } : decodeCursor(after), limit })
    },
  }),
)

const encodeCursor = ({ position, row }: VerifiedPlace): string =>
  Buffer.from(`seal:${position}${row ? `:${row.xid}:${row.id}` : ''}`).toString('base64url')

function decodeCursor(cursor: string): VerifiedPlace {
  const [, position, xid, id] = CURSOR.exec(Buffer.from(cursor.slice(0, 200), 'base64url').toString('latin1')) ?? []
  const place: VerifiedPlace = { position: Number(position), row: xid && id ? { xid, id } : undefined }
  if (Number.isNaN(place.position) || encodeCursor(place) !== cursor) throw new Fault('BAD_CURSOR')
  return place
}
