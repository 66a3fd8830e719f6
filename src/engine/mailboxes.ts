/**
 * One mailbox for each execution that something happens to here. Inputs wait in it and fold into one transition; at most one
 * transition of an execution is in flight. A mailbox is held (this process's worker owns the execution) or only visited.
 */
import { setTimeout as pause } from 'node:timers/promises'
import type { AuditKeys } from '../audit/audit-keys.ts'
import type { Database } from '../database/database.ts'
import { together } from '../database/together.ts'
import type { Logger } from '../log.ts'
import { createTrouble } from '../trouble.ts'
import { leaveExecutions } from './claim.ts'
import type { Committer } from './commit.ts'
import { decide } from './decide/decide.ts'
import type { Transition, World } from './decide/draft.ts'
import type { Input } from './decide/input.ts'
import type { Snapshot } from './decide/snapshot.ts'
import type { Extras } from './encode.ts'
import { loadSnapshots, loadWords, MOST_WORDS, wordsOf } from './load-snapshots.ts'
import type { Loaded, StoredWord } from './load-snapshots.ts'
import { emptyMailbox } from './mailbox.ts'
import type { Mailbox } from './mailbox.ts'
import { settleAll, silentPost } from './post.ts'
import type { Post, Posted, PostOptions } from './post.ts'
import { OfNewerRelease } from './programs.ts'
import type { Programs } from './programs.ts'
import { hasEnded } from './states.ts'
import { storeTransition, withoutPayloads } from './store-transition.ts'

export interface MailboxesOptions {
  database: Database
  committer: Committer
  programs: Programs
  log: Logger
  /** signs what the audit log says of an end */
  signAudit: AuditKeys['sign']
  /** null: this process holds nothing, it only visits */
  workerId: string | null
  /** the world of this moment */
  world(): World
  /** after each commit, and after a decision that changed nothing */
  act(transition: Transition): void
  /**
   * The execution was read again: what runs must be made to agree with it. `untold`: the outcomes that wait to be decided on;
   * their attempts have ended, whatever the snapshot says.
   */
  reconcile(snapshot: Snapshot, untold: readonly Input[]): void
  /** it is not held here any more; `unread`: whoever claims it next finds words of others */
  released(executionId: string, unread: boolean): void
}

export interface Mailboxes {
  /** Resolves when the transition that took the input is committed. Rejects when it cannot be stored at all. */
  post(executionId: string, input: Input, options?: PostOptions): Promise<Posted>
  /** A new execution, `snapshot.version` 0. */
  begin(snapshot: Snapshot, input: Input, extras: Extras): Promise<Posted>
  /** What was just claimed. */
  hold(loaded: Loaded): void
  /** Held executions as this process knows them; undefined while something happens to them. */
  held(): Map<string, Snapshot | undefined>
  isHeld(executionId: string): boolean
  readonly size: number
  /** Reads the execution again before anything else is decided on it. `unlessBusy`: what happens to it just now finds out anyway. */
  reload(executionId: string, options?: { unlessBusy: boolean }): void
  /** Reads what others say to it, if it is held here. */
  hear(executionId: string): void
  /** Forgets what is held without storing anything (the lease is lost). */
  drop(executionId: string): void
}

export function createMailboxes(options: MailboxesOptions): Mailboxes {
  const { database, committer, programs, log } = options
  const boxes = new Map<string, Mailbox>()
  const held = new Set<string>()
  const silent = (input: Input): Post => silentPost(input, log)
  const trouble = createTrouble({ log, message: 'an execution could not be decided on, trying again' })
  const askWords = together(async (ids: readonly string[]) => {
    const found = Map.groupBy(await loadWords(database, ids), (word) => word.execution_id)
    return ids.map((id): readonly StoredWord[] => found.get(id) ?? [])
  })

  return {
    post(executionId, input, { extras = {}, urgent = false, keep = false, then = [] } = {}) {
      return new Promise((settle, abandon) => {
        enqueue(open(executionId), [
          { input, extras, urgent, keep, settle, abandon },
          ...then.map((more) => ({ ...silent(more), keep })),
        ])
      })
    },
    begin(snapshot, input, extras) {
      const box = open(snapshot.id)
      box.snapshot = snapshot
      return new Promise((settle, abandon) => {
        enqueue(box, [{ input, extras, urgent: true, settle, abandon }])
      })
    },
    hold({ snapshot, messages, notAllowed, orphaned }) {
      const box = open(snapshot.id)
      held.add(snapshot.id)
      box.dropped = false
      if (box.busy) box.stale = true
      else box.snapshot = snapshot
      const inputs: Input[] = notAllowed === undefined ? [{ kind: 'claimed' }] : [{ kind: 'notAllowed', message: notAllowed }]
      if (snapshot.startedAt === null && notAllowed === undefined) inputs.unshift({ kind: 'started' })
      if (orphaned) inputs.push({ kind: 'cancel', reason: 'The execution that started it does not wait for it any more.' })
      const posts = inputs.map(silent)
      note(box, messages, posts)
      enqueue(box, posts)
    },
    held: () => new Map([...held].map((id) => [id, boxes.get(id)?.busy ? undefined : boxes.get(id)?.snapshot])),
    isHeld: (executionId) => held.has(executionId),
    get size() {
      return held.size
    },
    reload(executionId, { unlessBusy } = { unlessBusy: false }) {
      const box = boxes.get(executionId)
      if (!box || (unlessBusy && box.busy)) return
      box.stale = true
      enqueue(box, [silent({ kind: 'tick' })])
    },
    hear(executionId) {
      const box = boxes.get(executionId)
      if (!box || !held.has(executionId)) return
      box.unread = true
      enqueue(box, [])
    },
    drop(executionId) {
      held.delete(executionId)
      const box = boxes.get(executionId)
      if (!box) return
      box.snapshot = undefined
      if (box.busy) box.dropped = true
      else boxes.delete(executionId)
    },
  }

  function open(id: string): Mailbox {
    let box = boxes.get(id)
    if (box) return box
    box = emptyMailbox(id)
    boxes.set(id, box)
    return box
  }

  function enqueue(box: Mailbox, posts: readonly Post[]): void {
    box.posts.push(...posts)
    if (box.busy) return
    box.busy = true
    void drain(box)
  }

  async function drain(box: Mailbox): Promise<void> {
    let failures = 0
    while (box.posts.length > 0 || (box.unread && held.has(box.id))) {
      if (box.unread && held.has(box.id)) await listen(box)
      const posts = box.posts.splice(0)
      if (posts.length === 0) continue
      try {
        await turn(box, posts)
        failures = 0
      } catch (error) {
        box.snapshot = undefined
        // callers may try again; what a holder has to record must not be lost because the database was away for a moment
        const isLeft = error instanceof OfNewerRelease
        const isHeld = held.has(box.id) && !isLeft
        const kept = error instanceof Unstorable ? [] : posts.filter(({ urgent, keep }) => keep || (isHeld && !urgent))
        for (const post of posts) if (!kept.includes(post)) post.abandon(error)
        if (isLeft && held.has(box.id)) await leave(box.id)
        if (kept.length === 0) continue
        trouble.failed(error)
        box.posts.unshift(...kept)
        await pause(Math.min(50 * 2 ** failures++, 1000))
      }
    }
    box.busy = false
    if (box.dropped) release(box.id)
    box.dropped = false
    if (!held.has(box.id)) boxes.delete(box.id)
  }

  /** Who can read it goes on with it. When the database does not hear of that, the heartbeat finds one that nobody here knows. */
  async function leave(id: string): Promise<void> {
    try {
      await leaveExecutions(database, options.workerId!, [id], log)
    } catch (error) {
      log.warn({ err: error }, 'an execution of a newer release could not be left to its workers; the heartbeat tries again')
    }
    release(id)
  }

  async function listen(box: Mailbox): Promise<void> {
    box.unread = false
    try {
      note(box, await askWords(box.id), box.posts)
    } catch (error) {
      log.warn({ err: error }, 'words of other executions could not be read; the next heartbeat finds them')
    }
  }

  /** Those that are new to `posts`; more than are read at once are read next. */
  function note(box: Mailbox, words: readonly StoredWord[], posts: Post[]): void {
    const known = new Set(posts.map(({ input }) => ('key' in input ? input.key : undefined)))
    const inputs = wordsOf(words).filter(({ key }) => !known.has(key))
    posts.push(...inputs.map(silent))
    if (words.length === MOST_WORDS && inputs.length > 0) box.unread = true
  }

  /** One transition, tried until it is stored or cannot be. */
  async function turn(box: Mailbox, posts: Post[]): Promise<void> {
    let inputs = posts.map(({ input }) => input)
    let reread = false
    if (box.stale) box.snapshot = undefined
    box.stale = false
    for (;;) {
      reread ||= box.snapshot === undefined
      if (!box.snapshot) {
        box.snapshot = await read(box, posts)
        inputs = posts.map(({ input }) => input)
      }
      if (!box.snapshot) return settleAll(posts, { result: 'missing' })
      const transition = decide(box.snapshot, inputs, worldOf(box.snapshot))
      if (!reread && isRefusal(transition)) {
        box.snapshot = undefined
        continue
      }
      const verdict = await storeTransition(database, committer, options.signAudit, transition, posts)
      switch (verdict.kind) {
        case 'committed':
          box.snapshot = transition.next
          if (transition.next.owner !== transition.from.owner) track(transition.next)
          options.act(transition)
          if (transition.more && held.has(box.id)) box.posts.unshift(silent({ kind: 'tick' }))
          if (reread && held.has(box.id))
            options.reconcile(
              transition.next,
              box.posts.map(({ input }) => input),
            )
          return posts.forEach((post, index) => post.settle({ result: transition.results[index]!, snapshot: transition.next }))
        case 'stale':
          box.snapshot = undefined
          continue
        case 'unstorable':
          if (inputs.some(({ kind }) => kind === 'unstorable')) throw new Unstorable(`It cannot be stored: ${verdict.message}`)
          inputs = withoutPayloads(inputs, verdict.message)
          continue
        case 'replayed':
          return settleAll(posts, { result: 'replayed', executionId: verdict.executionId })
        case 'gone':
          box.snapshot = undefined
          release(box.id)
          return settleAll(posts, { result: 'missing' })
        default:
          return settleAll(posts, { result: verdict.kind })
      }
    }
  }

  /** What is found with it goes to `posts`. */
  async function read(box: Mailbox, posts: Post[]): Promise<Snapshot | undefined> {
    const [loaded] = await loadSnapshots(database, programs, [box.id])
    if (!loaded) {
      release(box.id)
      return undefined
    }
    if (loaded.notAllowed !== undefined) posts.push(silent({ kind: 'notAllowed', message: loaded.notAllowed }))
    note(box, loaded.messages, posts)
    if (!isOurs(loaded.snapshot)) release(box.id)
    return loaded.snapshot
  }

  /** Claimed, and nobody here learned of it, or dropped with the lease: what it had launched is not known. It is let go, or taken back by the heartbeat. */
  function worldOf(snapshot: Snapshot): World {
    const world = options.world()
    return isOurs(snapshot) && !held.has(snapshot.id) ? { ...world, draining: true } : world
  }

  function isOurs({ owner }: Snapshot): boolean {
    return owner !== null && owner === options.workerId
  }

  function track(snapshot: Snapshot): void {
    if (isOurs(snapshot)) held.add(snapshot.id)
    else release(snapshot.id)
  }

  function release(id: string): void {
    if (held.delete(id)) options.released(id, boxes.get(id)?.unread === true)
  }
}

/** Neither what was asked for nor the failure that it would end in can be stored. */
class Unstorable extends Error {}

/** What changes nothing meets no fence: who is turned away is so by what is stored, never by what is remembered. */
const isRefusal = ({ from, changed, results }: Transition): boolean =>
  !changed && !hasEnded(from.status) && results.some((result) => result !== 'applied' && result !== 'duplicate')
