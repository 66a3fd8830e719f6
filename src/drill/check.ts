/** What must hold after a drill: each check compares what was promised with what is there. Pure. */
import { isDeepStrictEqual } from 'node:util'
import type { AuditVerification } from '../audit/verify-audit.ts'
import type { FaultName } from './faults/all.ts'
import { CALLING_PATHS, expectedOutput, RECORDED_PATHS } from './flow.ts'
import type { Followed } from './followers.ts'
import type { History, StoredExecution } from './history.ts'
import type { Started } from './load.ts'
import type { Recovery } from './progress.ts'

export interface FaultRecord extends Recovery {
  readonly name: FaultName
  /** ms since the load began */
  readonly atMs: number
  /** ms from the harm until there was again what they need; 0 = nothing was missing but the worker */
  readonly backMs: number
}

/** All that a drill found out. */
export interface Facts {
  readonly started: readonly Started[]
  /** starts that nobody answered */
  readonly unanswered: number
  readonly history: History
  /** how often the witness was called, by `<execution>/<path>` */
  readonly calls: ReadonlyMap<string, number>
  readonly followed: Followed
  readonly audit: Pick<AuditVerification, 'intact' | 'checked' | 'broken'>
  readonly faults: readonly FaultRecord[]
  readonly boundMs: number
  /** processes that ended by themselves */
  readonly lost: readonly string[]
}

export interface Check {
  readonly name: string
  /** what must hold, as a sentence's end */
  readonly what: string
  readonly held: boolean
  /** figures */
  readonly found: string
  /** what is wrong, the first few */
  readonly wrong: readonly string[]
}

const SHOWN = 5

export const checkAll = (facts: Facts): Check[] => [
  checkLost(facts),
  checkStarts(facts),
  checkRecords(facts),
  checkEffects(facts),
  checkSeq(facts),
  checkFeeds(facts),
  checkAudit(facts),
  checkInvariants(facts),
  checkRecovery(facts),
  checkProcesses(facts),
]

function check(name: string, what: string, found: string, wrong: readonly string[]): Check {
  const more = wrong.length > SHOWN ? [`and ${wrong.length - SHOWN} more`] : []
  return { name, what, held: wrong.length === 0, found, wrong: [...wrong.slice(0, SHOWN), ...more] }
}

function checkLost({ started, history }: Facts): Check {
  const wrong = started.flatMap(({ id, number }) => {
    const stored = history.executions.get(id)
    if (!stored) return [`${id} is not there`]
    if (stored.status !== 'SUCCEEDED') return [`${id} is ${stored.status}`]
    return isDeepStrictEqual(stored.output, expectedOutput(number)) ? [] : [`${id} has another output than expected`]
  })
  const asExpected = started.length - wrong.length
  return check('nothing-lost', 'no execution is lost', `${started.length} acknowledged, ${asExpected} ended as expected`, wrong)
}

function checkStarts({ started, unanswered, history }: Facts): Check {
  const known = new Set(started.map(({ id }) => id))
  const twice = started.length - known.size
  const strangers = [...history.executions.keys()].filter((id) => !known.has(id))
  const again = started.reduce((sum, { tries }) => sum + tries - 1, 0)
  return check(
    'started-once',
    'each start started once',
    `${again} were asked for again, ${twice + strangers.length} started twice`,
    [
      ...(unanswered > 0 ? [`starts that were never answered: ${unanswered}`] : []),
      // each of those may have started one
      ...(strangers.length > unanswered ? strangers.map((id) => `${id} was started, and is nobody's answer`) : []),
      ...(twice > 0 ? [`${twice} answers name an execution of another`] : []),
    ],
  )
}

function checkRecords({ history }: Facts): Check {
  const recorded = new Set(RECORDED_PATHS)
  let count = 0
  const wrong = [...history.executions.values()].flatMap(({ id, paths, events }) => {
    count += paths.length
    const had = new Set(paths)
    const ends = events.flatMap(({ type, path }) => (type === 'step.succeeded' && path !== null ? [path] : []))
    const twice = ends.filter((path, index) => ends.indexOf(path) !== index)
    return [
      ...RECORDED_PATHS.filter((path) => !had.has(path)).map((path) => `${id}/${path} is not recorded`),
      ...paths.filter((path) => !recorded.has(path)).map((path) => `${id}/${path} is recorded and was never to run`),
      ...twice.map((path) => `${id}/${path} ended twice in the history`),
    ]
  })
  const expected = history.executions.size * RECORDED_PATHS.length
  return check('recorded-once', 'no step is recorded twice or missing', `${count} of ${expected} steps recorded`, wrong)
}

function checkEffects({ history, calls }: Facts): Check {
  const keys = [...history.executions.keys()].flatMap((id) => CALLING_PATHS.map((path) => `${id}/${path}`))
  const wanted = new Set(keys)
  const made = [...calls.values()].reduce((sum, times) => sum + times, 0)
  const found = `${keys.length} steps called ${made} times: ${made - calls.size} ran again after a fault`
  return check('effects', 'each step had its effect', found, [
    ...keys.filter((key) => !calls.has(key)).map((key) => `${key} is recorded and never called`),
    ...[...calls.keys()].filter((key) => !wanted.has(key)).map((key) => `${key} called and belongs to no execution`),
  ])
}

function checkSeq({ history }: Facts): Check {
  let count = 0
  const wrong = [...history.executions.values()].flatMap(({ id, seq, events }) => {
    count += events.length
    const hole = events.findIndex((event, index) => event.seq !== index + 1)
    if (hole >= 0) return [`${id} has no event ${hole + 1}`]
    return events.length === seq ? [] : [`${id} has ${events.length} events and counts ${seq}`]
  })
  return check('history-whole', 'every history is whole', `${count} events, numbered without a gap`, wrong)
}

function checkFeeds({ history, followed }: Facts): Check {
  const { all, each, resumed } = followed
  const seen = new Map(all.view.executions.map(({ id, status }) => [id, status]))
  const unlike = [...history.executions.values()].filter(({ id, status }) => seen.get(id) !== status)
  const wrong = [
    ...unlike.map(({ id, status }) => `the feed of all shows ${id} as ${seen.get(id) ?? 'not there'}, it is ${status}`),
    ...[...each].flatMap(([id, { status, view, gaps }]) => {
      const stored = history.executions.get(id)
      if (status !== 'ended') return [`the feed of ${id} has not ended`]
      if (gaps.length > 0) return [`the feed of ${id} has a gap`]
      return stored && sameEvents(stored, view.events) ? [] : [`the feed of ${id} shows another history than PostgreSQL has`]
    }),
  ]
  const found = `1 feed of all, ${each.size} of one execution each, cut off ${resumed} times`
  return check('feeds-whole', 'feeds show what PostgreSQL has', found, wrong)
}

const sameEvents = ({ events }: StoredExecution, seen: readonly { seq: number; type: string; path: string | null }[]): boolean =>
  events.length === seen.length &&
  events.every(({ seq, type, path }, at) => seen[at]!.seq === seq && seen[at]!.type === type && seen[at]!.path === path)

function checkAudit({ audit, history }: Facts): Check {
  const ends = [...history.executions.values()].filter((one) => one.ends !== 1)
  return check('audit-intact', 'the audit chain is intact', `${audit.checked} entries verified, one for each end`, [
    ...(audit.intact ? [] : [`it breaks: ${audit.broken?.why ?? 'nobody knows why'}`]),
    ...ends.map((one) => `${one.id} ended ${one.ends} times in the audit log`),
  ])
}

function checkInvariants({ history: { repairs, late } }: Facts): Check {
  const wrong = repairs === 0 ? [] : [`the monitor of invariants had to mend ${repairs}`]
  return check('invariants', 'nothing had to be mended', `${late} late outcomes came in, and changed nothing`, wrong)
}

function checkRecovery({ faults, boundMs }: Facts): Check {
  const took = ({ takenUpMs, backMs }: FaultRecord): number => takenUpMs - backMs
  const wrong = faults.flatMap((fault) => {
    const { name, gotOnMs, last } = fault
    if (took(fault) <= boundMs && Number.isFinite(gotOnMs)) return []
    return [
      `${name}: ${inSeconds(took(fault))}, a step further ${Number.isFinite(gotOnMs) ? `after ${inSeconds(gotOnMs)}` : 'never'}, at last ${last.join(', ')}`,
    ]
  })
  const found = `after ${inSeconds(Math.max(0, ...faults.map(took)))} at most, ${inSeconds(boundMs)} are allowed`
  return check('recovery', 'whoever was hit is taken up in time', found, wrong)
}

const inSeconds = (ms: number): string => (Number.isFinite(ms) ? `${(ms / 1_000).toFixed(1)} s` : 'never')

const checkProcesses = ({ lost }: Facts): Check => check('processes', 'no process ended by itself', `${lost.length} did`, lost)
