/** How frames become what is sent: each once, for all who would get the same. */
import type { Principal } from '../identity/principal.ts'
import type { CommonFrame } from './frames.ts'
import type { Frame } from './topic.ts'

/** `forViewer`: it was made with the viewer looked at, so that it is good for this viewer alone. */
export interface Rendering<Rendered> {
  readonly rendered: Rendered
  readonly forViewer: boolean
}

/** What of a topic is wanted, and how it becomes what is sent. */
export interface Presentation<Rendered> {
  /** Followers of one topic with one form get the same: what was asked for, without where to begin. */
  readonly form: string
  /**
   * `who` stands for all of one standing, unless `viewerMatters`: then it is for `who` alone. `forViewer` must be true when it was
   * looked at who it is.
   */
  render(frame: Frame | CommonFrame, who: Principal, viewerMatters: boolean): Promise<Rendering<Rendered>>
}

/** Rendering found that the viewer matters, where it was for many: nothing of it may be sent. */
export class ViewerMatters extends Error {}

/** Renders each frame once; throws `ViewerMatters`. */
export function renderOnce<Rendered>(
  presentation: Presentation<Rendered>,
  who: Principal,
  viewerMatters: boolean,
): (frame: Frame | CommonFrame) => Promise<Rendered> {
  const known = new WeakMap<Frame, Promise<Rendered>>()
  return (frame) => {
    let rendered = known.get(frame)
    if (!rendered) known.set(frame, (rendered = render(frame)))
    return rendered
  }

  async function render(frame: Frame | CommonFrame): Promise<Rendered> {
    const { rendered, forViewer } = await presentation.render(frame, who, viewerMatters)
    if (forViewer && !viewerMatters) throw new ViewerMatters()
    return rendered
  }
}
