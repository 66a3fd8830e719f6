/** `approval`: asks people and counts their votes, one each, until enough have approved or rejected. */
import { createHash } from 'node:crypto'
import { canonicalJson } from '../../canonical-json.ts'
import { decodeId, encodeId } from '../../ids.ts'
import type { StepSpec } from '../../language/steps/step-types.ts'
import type { Json } from '../../language/values.ts'
import { MAX_APPROVERS } from '../../language/steps/approval.ts'
import { derivedUuid } from '../decide/derive.ts'
import type { Draft } from '../decide/draft.ts'
import { emitOf, removeInFlight, replaceInFlight } from '../decide/draft.ts'
import { scopeOf } from '../decide/scope.ts'
import { fail, storable, succeed } from '../decide/end-step.ts'
import type { Ending } from '../decide/record-step.ts'
import type { Input, InputResult } from '../decide/input.ts'
import { runAt } from '../decide/run.ts'
import type { Run } from '../decide/run.ts'
import { maskOf } from '../execution-mask.ts'
import type { ApprovalEntry, Vote } from '../in-flight.ts'
import { asText } from './agent.ts'

type ApprovalSpec = StepSpec & { type: 'approval' }

/** Delegations of one approval. */
const MAX_DELEGATIONS = 50

export function beginApproval(draft: Draft, run: Run, spec: ApprovalSpec, attempt: number): void {
  const ending = { attempt, startedAt: draft.lastEventAt }
  const scope = scopeOf(draft, run)
  const subject = spec.subject.evaluate(scope)
  if (!subject.ok) return fail(draft, run, ending, 'EXPRESSION_FAILED', `subject: ${subject.message}`)
  const body = storable(draft, run, ending, spec.data.evaluate(scope), 'data')
  if (body === undefined) return
  const approvers = findApprovers(draft, run, spec, ending)
  if (!approvers) return
  const text = asText(subject.value)
  const requestId = derivedUuid(draft.world.now, `${draft.from.id}/${run.path}/${attempt}`)
  const dataHash = hashOfShown(draft, run, text, body)
  const dueAt = draft.world.now + run.step.timeoutMs!
  const { quorum, rejects, selfApproval } = spec
  draft.asks.push({
    ...{ id: requestId, path: run.path, attempt, kind: 'APPROVAL', role: '', subject: text, body, deadlineAt: dueAt },
  })
  draft.waits.push({ kind: 'approval', requestId, dataHash, quorum, rejects, selfApproval, approvers })
  draft.inFlight.push({
    ...{ kind: 'approval', path: run.path, attempt, startedAt: draft.lastEventAt, dueAt, requestId, dataHash },
    ...{ quorum, rejects, selfApproval, votes: [], delegations: [] },
  })
  emitOf(draft, run, 'approval.asked', { attempt, data: { subject: text, dataHash, quorum, rejects } })
}

/** `role:USER`, `user:<uuid>`, `handle:ann`; undefined, and the step has failed, when `users` gives no such list. */
function findApprovers(draft: Draft, run: Run, spec: ApprovalSpec, ending: Ending): string[] | undefined {
  const users = spec.users.evaluate(scopeOf(draft, run))
  const refuse = (message: string): undefined => {
    fail(draft, run, ending, 'EXPRESSION_FAILED', `users: ${message}`)
    return undefined
  }
  if (!users.ok) return refuse(users.message)
  const list = users.value
  if (!Array.isArray(list) || list.length > MAX_APPROVERS || !list.every((one) => typeof one === 'string' && one.length <= 100))
    return refuse(`It must give a list of at most ${MAX_APPROVERS} handles or ids.`)
  const named = (list as string[]).map((one) => {
    const id = decodeId('user', one)
    return id === undefined ? `handle:${one}` : `user:${id}`
  })
  const approvers = [...new Set([...spec.roles.map((role) => `role:${role}`), ...named])]
  return approvers.length > 0 ? approvers : refuse('Nobody is asked.')
}

/** SHA-256 of what is shown, as it is shown: a hash of masked values would let them be guessed. */
function hashOfShown(draft: Draft, run: Run, subject: string, body: Json): string {
  const mask = maskOf(draft.from.program, draft.from.input)
  const data = mask.value({ step: run.step.name, value: 'given' }, body).value
  return createHash('sha256')
    .update(canonicalJson({ subject: mask.text(subject), data }))
    .digest('hex')
}

/** A vote, or its delegation, in an approval that is still open. */
export function applyToApproval(draft: Draft, input: Input & { kind: 'voted' | 'delegated' }): InputResult {
  const entry = draft.inFlight.find((one) => one.kind === 'approval' && one.requestId === input.requestId)
  const run = entry && runAt(draft.from.program, entry.path)
  if (entry?.kind !== 'approval' || !run || entry.dueAt <= draft.world.now) return 'illegal'
  return input.kind === 'voted' ? vote(draft, run, entry, input) : delegate(draft, run, entry, input)
}

/** One vote a person, whoever's it is. */
function vote(draft: Draft, run: Run, entry: ApprovalEntry, input: Input & { kind: 'voted' }): InputResult {
  const { by, decision, data } = input
  if (input.dataHash !== entry.dataHash || isExcluded(draft, entry, by) || entry.delegations.some(({ from }) => from === by))
    return 'illegal'
  if (entry.votes.some((other) => other.by === by)) return 'duplicate'
  const whose = entry.delegations.find(({ to }) => to === by)?.from
  const cast: Vote = { by, ...(whose !== undefined && { for: whose }), decision, data, at: draft.world.now }
  const votes = [...entry.votes, cast]
  draft.waits.push({ kind: 'vote', requestId: entry.requestId, dataHash: entry.dataHash, for: whose ?? by, ...cast })
  emitOf(draft, run, 'approval.voted', {
    attempt: entry.attempt,
    data: { decision, votedBy: encodeId('user', by), ...(whose !== undefined && { votedFor: encodeId('user', whose) }) },
  })
  const count = votes.filter((one) => one.decision === decision).length
  if (count < (decision === 'APPROVE' ? entry.quorum : entry.rejects)) replaceInFlight(draft, { ...entry, votes })
  else {
    removeInFlight(draft, entry.path)
    draft.closedAsks.push({ id: entry.requestId, status: 'ANSWERED', decision, answeredBy: by })
    succeed(draft, run, entry, { decision, dataHash: entry.dataHash, votes: votes.map(shown) })
  }
  return 'applied'
}

const shown = ({ by, for: whose, decision, data, at }: Vote): Json => ({
  ...{ by: encodeId('user', by), decision, data, at: new Date(at).toISOString() },
  ...(whose !== undefined && { for: encodeId('user', whose) }),
})

/** The vote of `from` is `to`'s from here on: who has one already gets no second, and what was handed on stays there. */
function delegate(draft: Draft, run: Run, entry: ApprovalEntry, input: Input & { kind: 'delegated' }): InputResult {
  const { from, to } = input
  const involved = (who: string): boolean =>
    entry.votes.some(({ by }) => by === who) || entry.delegations.some((other) => other.from === who || other.to === who)
  if (from === to || involved(from) || involved(to) || isExcluded(draft, entry, from) || isExcluded(draft, entry, to))
    return 'illegal'
  if (entry.delegations.length >= MAX_DELEGATIONS) return 'full'
  replaceInFlight(draft, { ...entry, delegations: [...entry.delegations, { from, to }] })
  draft.waits.push({ kind: 'delegation', requestId: entry.requestId, from, to })
  emitOf(draft, run, 'approval.delegated', {
    attempt: entry.attempt,
    data: { from: encodeId('user', from), to: encodeId('user', to) },
  })
  return 'applied'
}

/** Who started the execution does not vote on it, nor does who started what it tries again. */
const isExcluded = ({ from }: Draft, { selfApproval }: ApprovalEntry, who: string): boolean =>
  !selfApproval && (who === from.initiatorId || (from.origin?.initiators.includes(who) ?? false))

export function expireApproval(draft: Draft, run: Run, entry: ApprovalEntry): void {
  draft.closedAsks.push({ id: entry.requestId, status: 'EXPIRED' })
  emitOf(draft, run, 'approval.expired', { attempt: entry.attempt })
  const { votes, quorum } = entry
  fail(
    draft,
    run,
    entry,
    'APPROVAL_TIMEOUT',
    `It was not decided within ${run.step.timeoutMs} ms: ${votes.length} of ${quorum} voted.`,
  )
}
