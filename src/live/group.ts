/** Followers who would all get the same: each frame is rendered once, and goes to every one of them as it is. */
import type { Principal } from '../identity/principal.ts'
import type { CloseReason, CommonFrame } from './frames.ts'
import type { Member } from './member.ts'
import { Patience } from './patience.ts'
import { renderOnce, ViewerMatters } from './presentation.ts'
import type { Presentation } from './presentation.ts'
import type { Source, SourceMember } from './source.ts'
import type { Frame, Page } from './topic.ts'

/** Before the token's end, so that the last frame is still within it. */
const EXPIRY_LEAD_MS = 2_500

export interface GroupOptions<Rendered> {
  readonly source: Source
  readonly presentation: Presentation<Rendered>
  /** one of them; what all of them have in common is their standing, or that they are this one */
  readonly standing: Principal
  readonly viewerMatters: boolean
  readonly conflates: boolean
  /** Resolves when all changes of access that are older than a second are known here. */
  fresh(): Promise<void>
  readonly heartbeatMs: number
  /** ms since 1970 */
  readonly now: () => number
  onFailure(error: unknown): void
  /** what they get depends on who looks: each has to go to a group of its own viewer */
  onViewerMatters(members: readonly Member<Rendered>[]): void
  /** a member has left for whatever reason */
  onGone(member: Member<Rendered>): void
  onDeserted(): void
}

export class Group<Rendered> implements SourceMember {
  readonly members = new Set<Member<Rendered>>()
  readonly options: GroupOptions<Rendered>
  readonly #render: (frame: Frame | CommonFrame) => Promise<Rendered>
  /** where all that are live are */
  #cursor = ''
  #live = 0
  /** counts what may be news: a read that began before the last of it may not have seen it */
  #generation = 0
  #rung = false
  #pumping = false
  #turn = Promise.withResolvers<void>()
  #lastFrameAt: number
  readonly #patience: Patience

  constructor(options: GroupOptions<Rendered>) {
    this.options = options
    this.#lastFrameAt = options.now()
    this.#patience = new Patience(options.now)
    this.#render = renderOnce(options.presentation, options.standing, options.viewerMatters)
    options.source.join(this)
  }

  /** It is behind at first: joiners, resumers and slow readers are one case. */
  add(member: Member<Rendered>): void {
    this.members.add(member)
    member.live = false
    void this.#catchUp(member)
  }

  remove(member: Member<Rendered>): void {
    if (!this.release(member)) return
    member.gone = true
    member.settle()
    this.options.onGone(member)
  }

  /** It goes on elsewhere. False: it was not here. */
  release(member: Member<Rendered>): boolean {
    if (!this.members.delete(member)) return false
    this.#fallBehind(member)
    member.chase += 1
    if (this.members.size === 0) {
      this.options.source.leave(this)
      this.options.onDeserted()
    }
    return true
  }

  hear(payload: string | undefined): void {
    this.#generation += 1
    if (this.#live > 0 && this.options.source.topic.isNews(this.#cursor, payload)) this.#wake()
  }

  saw(newest: string | undefined): void {
    // whoever waits for the group, or for the database, looks again
    this.#nextTurn()
    if (newest === this.#cursor && !this.#patience.failing) return
    this.#generation += 1
    this.#wake()
  }

  doubt(member: Member<Rendered>): void {
    member.doubt()
    if (member.live) this.#retreat(member)
  }

  /** The sweep's call: tokens that are about to end, and a heartbeat when nothing else came. */
  tick(now: number): void {
    for (const member of this.members) {
      if (now >= member.principal.expiresAt - EXPIRY_LEAD_MS) void this.close(member, 'TOKEN_EXPIRED')
    }
    if (this.#live > 0 && now - this.#lastFrameAt >= this.options.heartbeatMs) void this.#beat(now)
  }

  /** Resolves when it was told, or left. */
  async close(member: Member<Rendered>, reason: CloseReason): Promise<void> {
    if (member.gone || member.closing) return
    member.closing = true
    this.#fallBehind(member)
    member.settle()
    const cursor = member.cursor ?? this.options.source.topic.start
    try {
      const rendered = await this.#render({ kind: 'closed', cursor, reason })
      if (!member.gone) member.sink.send(rendered, cursor)
    } catch (error) {
      if (!(error instanceof ViewerMatters)) this.options.onFailure(error)
    }
    if (!member.gone) member.sink.over(reason)
    this.remove(member)
  }

  #wake(): void {
    this.#rung = true
    if (!this.#pumping && this.#live > 0) void this.#pump()
  }

  /** What the live ones get: read once, rendered once. */
  async #pump(): Promise<void> {
    this.#pumping = true
    let turn = this.#turn.promise
    try {
      while (this.#rung && this.#live > 0) {
        this.#rung = false
        turn = this.#turn.promise
        await this.#step()
      }
    } catch (error) {
      this.#failed(error, turn)
    }
    this.#pumping = false
  }

  async #step(): Promise<void> {
    const { source, conflates, fresh } = this.options
    const from = this.#cursor
    const page = await source.read(from, { conflate: conflates })
    if (!page) return this.members.forEach((member) => void this.close(member, 'ACCESS_REVOKED'))
    this.#patience.worked()
    if (page.cursor === from && page.frames.length === 0) return
    const rendered = await Promise.all(page.frames.map((frame) => this.#render(frame)))
    if (rendered.length > 0) await fresh()
    // all were gone meanwhile, and another leads
    if (this.#cursor !== from) return void (this.#rung = true)
    // what is not for them moves them on too: it is not read again
    this.#cursor = page.cursor
    if (rendered.length > 0) this.#lastFrameAt = this.options.now()
    this.#rung ||= page.more
    for (const member of this.members) {
      if (!member.live) continue
      if (member.sink.congested()) this.#retreat(member)
      else this.#send(member, rendered, page)
    }
    this.#nextTurn()
  }

  #send(member: Member<Rendered>, rendered: readonly Rendered[], page: Page<Frame>): void {
    for (const [index, one] of rendered.entries()) member.sink.send(one, page.frames[index]!.cursor)
    member.cursor = page.cursor
    if (!page.ends) return
    member.sink.over('FINISHED')
    this.remove(member)
  }

  /** Reads for itself until it is where the live ones are. */
  async #catchUp(member: Member<Rendered>): Promise<void> {
    const chase = (member.chase += 1)
    let turn = this.#turn.promise
    try {
      while (this.#awaits(member, chase)) {
        turn = this.#turn.promise
        await this.#catchUpStep(member, chase)
      }
    } catch (error) {
      if (member.chase === chase) this.#failed(error, turn, member)
    }
  }

  #awaits(member: Member<Rendered>, chase: number): boolean {
    return member.chase === chase && this.members.has(member) && !member.closing && !member.live
  }

  async #catchUpStep(member: Member<Rendered>, chase: number): Promise<void> {
    const { source, conflates, fresh } = this.options
    await member.ready()
    if (!this.#awaits(member, chase)) return
    const generation = this.#generation
    const { cursor, anew } = member
    const follows = this.#live > 0 && cursor !== undefined && this.#isBefore(cursor, this.#cursor)
    const page = await source.read(cursor, { conflate: conflates, ...(anew && { anew }), ...(follows && { upTo: this.#cursor }) })
    if (!page) return this.close(member, 'ACCESS_REVOKED')
    const rendered = await Promise.all(page.frames.map((frame) => this.#render(frame)))
    if (rendered.length > 0) await fresh()
    if (!this.#awaits(member, chase) || member.doubted) return
    this.#patience.worked()
    member.anew = false
    this.#send(member, rendered, page)
    if (member.gone || page.more) return
    // what was read only up to the group says nothing of what follows
    if (this.#live === 0) return follows ? undefined : this.#lead(member, generation)
    if (member.cursor === this.#cursor) this.#goLive(member)
    else if (rendered.length === 0 || !this.#isBefore(member.cursor!, this.#cursor)) {
      // ahead of the group, which missed a ring
      const { promise } = this.#turn
      this.#wake()
      await promise
    }
  }

  /** The first one that is live says where the group is. */
  #lead(member: Member<Rendered>, readAt: number): void {
    this.#cursor = member.cursor!
    this.#lastFrameAt = this.options.now()
    this.#goLive(member)
    this.#rung = false
    if (readAt !== this.#generation) this.#wake()
  }

  #goLive(member: Member<Rendered>): void {
    member.live = true
    this.#live += 1
    member.sink.caughtUp?.()
  }

  #fallBehind(member: Member<Rendered>): void {
    if (!member.live) return
    member.live = false
    this.#live -= 1
    if (this.#live === 0) this.#nextTurn()
  }

  #retreat(member: Member<Rendered>): void {
    this.#fallBehind(member)
    void this.#catchUp(member)
  }

  #isBefore(a: string, b: string): boolean {
    return this.options.source.topic.compare(a, b) < 0
  }

  /** Whoever waits for the group to move looks again. */
  #nextTurn(): void {
    this.#turn.resolve()
    this.#turn = Promise.withResolvers()
  }

  async #beat(now: number): Promise<void> {
    this.#lastFrameAt = now
    const cursor = this.#cursor
    const turn = this.#turn.promise
    try {
      const rendered = await this.#render({ kind: 'heartbeat', cursor, serverTime: new Date(now) })
      await this.options.fresh()
      for (const member of this.members) if (member.live && member.cursor === cursor) member.sink.send(rendered, cursor)
    } catch (error) {
      this.#failed(error, turn)
    }
  }

  /** Who is concerned (all that are live, unless one is named) reads again after `turn`, which the next sweep that can read brings. */
  #failed(error: unknown, turn: Promise<void>, behind?: Member<Rendered>): void {
    if (error instanceof ViewerMatters) return this.#splitUp()
    this.options.onFailure(error)
    const final = this.#patience.isOver(error)
    const concerned = behind ? [behind] : [...this.members].filter(({ live }) => live)
    for (const member of concerned) {
      if (final) {
        member.sink.fail(error)
        this.remove(member)
      } else void this.#retry(member, turn)
    }
  }

  async #retry(member: Member<Rendered>, turn: Promise<void>): Promise<void> {
    this.#fallBehind(member)
    const chase = (member.chase += 1)
    await turn
    if (this.#awaits(member, chase)) void this.#catchUp(member)
  }

  #splitUp(): void {
    const concerned = [...this.members]
    for (const member of concerned) this.release(member)
    this.options.onViewerMatters(concerned)
  }
}
