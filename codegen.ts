/**
 * Makes the typed client that the tests use, from `schema.graphql` and the documents in them: `test/generated/`, which is committed.
 * Run by `graphql-codegen --config codegen.ts`; with `--check` it writes nothing and fails when what is there is not what it would write.
 */
import type { CodegenConfig } from '@graphql-codegen/cli'

const config: CodegenConfig = {
  schema: 'schema.graphql',
  documents: ['test/**/*.ts', 'examples/**/*.ts'],
  // only what stands in `graphql(...)`; other documents of the tests are their own affair
  pluckConfig: { gqlMagicComment: 'generated', globalGqlIdentifierName: ['graphql'] },
  importExtension: '.ts',
  generates: {
    'test/generated/': {
      preset: 'client',
      presetConfig: { fragmentMasking: false },
      config: {
        // Node runs these files as they are, and strips types only
        enumsAsTypes: true,
        useTypeImports: true,
        scalars: {
          DateTime: 'string',
          Duration: 'string',
          JSON: { input: 'unknown', output: 'unknown' },
        },
      },
    },
  },
}

export default config
