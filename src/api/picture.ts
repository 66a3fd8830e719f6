/** Pictures of flows and executions. */
import { pictureOf } from '../language/picture/picture-graph.ts'
import type { PictureGraph } from '../language/picture/picture-graph.ts'
import { toMermaid } from '../language/picture/mermaid.ts'
import { toSvg } from '../language/picture/svg.ts'
import { isProblem } from '../errors.ts'
import type { Call } from '../operations/call.ts'
import { builder } from './builder.ts'
import type { Types } from './builder.ts'

const DRAW = { SVG: toSvg, MERMAID: toMermaid }

const Format = builder.enumType('PictureFormat', {
  description: 'How a picture is written.',
  values: {
    SVG: { description: 'Drawn: an SVG document that needs nothing from outside.' },
    MERMAID: { description: 'Text for https://mermaid.js.org, which documents and editors draw.' },
  } satisfies Record<keyof typeof DRAW, { description: string }>,
})

/** `picture` of whatever has a flow version; `colour` tells the states of its steps. */
export function pictureField<Shape>(
  t: PothosSchemaTypes.ObjectFieldBuilder<Types, Shape>,
  description: string,
  versionOf: (parent: Shape, call: Call) => string | Promise<string>,
  colour: (graph: PictureGraph, parent: Shape, call: Call) => PictureGraph | Promise<PictureGraph> = (graph) => graph,
) {
  return t.string({
    nullable: true,
    description: `${description} Null when its definition names what is not allowed any more.`,
    complexity: 20,
    args: { format: t.arg({ type: Format, required: true, defaultValue: 'SVG', description: 'How it is written.' }) },
    resolve: async (parent, { format }, call) => {
      const program = await call.services.engine.program(await versionOf(parent, call))
      return isProblem(program) ? null : DRAW[format](await colour(pictureOf(program), parent, call))
    },
  })
}
