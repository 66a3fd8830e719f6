/** How long a flow may take and what it may cost, when everything goes as badly as its definition lets it. */
import { loadSqlParserFor } from '../language/sql/sql-parser.ts'
import { validateDefinition } from '../language/validate.ts'
import type { WorstCase } from '../language/worst-case.ts'
import type { Types } from './builder.ts'
import { builder } from './builder.ts'
import { loadersOf } from './loaders.ts'

const WorstCaseType = builder.objectRef<WorstCase>('WorstCase').implement({
  description: 'What a flow takes when everything goes as badly as its definition lets it.',
  fields: (t) => ({
    duration: t.field({
      type: 'Duration',
      description: 'Until its end: the longest way through its steps with all their attempts, its timeout at the most.',
      resolve: ({ durationMs }) => durationMs,
    }),
    cost: t.exposeFloat('cost', {
      description: 'Tokens: what its steps say that an attempt costs, with all attempts, items and iterations.',
    }),
  }),
})

/** Of a definition that is checked. */
export const worstCaseOfValidation = <Shape extends { worstCase: WorstCase | null }>(
  t: PothosSchemaTypes.ObjectFieldBuilder<Types, Shape>,
) =>
  t.field({
    type: WorstCaseType,
    nullable: true,
    description: 'What it takes at the worst; null when it is not valid.',
    resolve: ({ worstCase }) => worstCase,
  })

/** Of a version; its definition is read again. */
export const worstCaseOfVersion = <Shape extends { id: string }>(t: PothosSchemaTypes.ObjectFieldBuilder<Types, Shape>) =>
  t.field({
    type: WorstCaseType,
    nullable: true,
    description: 'What it takes at the worst. Null when its definition names what is not allowed any more.',
    complexity: 20,
    resolve: async (version, _args, call) => {
      const definition = await loadersOf(call).definitions.load(version.id)
      await loadSqlParserFor(definition)
      return validateDefinition(definition, call.services.allow).worstCase ?? null
    },
  })
