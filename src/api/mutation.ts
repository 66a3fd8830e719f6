/** The one way to add a mutation: makes `<Name>Input`, `<Name>Success`, `<Name>Result` and the field, always alike. */
import type { InputFieldMap, InputShapeFromFields, MaybePromise } from '@pothos/core'
import { isProblem } from '../errors.ts'
import type { Problem, ProblemCode } from '../errors.ts'
import type { Call } from '../operations/call.ts'
import { isTracing, traced } from '../tracing.ts'
import { builder } from './builder.ts'
import type { Scopes, Types } from './builder.ts'
import { PROBLEM_TYPES } from './problems.ts'

type InputFields = PothosSchemaTypes.InputFieldBuilder<Types, 'InputObject'>
type SuccessFields<Success> = PothosSchemaTypes.ObjectFieldBuilder<Types, Success>

export interface MutationOptions<Fields extends InputFieldMap, Success extends object> {
  description: string
  scopes: Scopes
  /** the fields of `<Name>Input`, each with its description */
  input: (t: InputFields) => Fields
  /** the use case, in one expression that names both arguments (inference needs them): a value is the success, a `Problem` has one of the codes in `problems` */
  resolve: (call: Call, input: InputShapeFromFields<Fields>) => MaybePromise<Success | Problem>
  /** the fields of `<Name>Success`; stands after `resolve`, from whose answer its type is inferred */
  success: (t: SuccessFields<NoInfer<Success>>) => ReturnType<typeof fieldsOf>
  problems: readonly ProblemCode[]
  /** what it costs beside its selection (default 10: a write), or how much with this input */
  cost?: number | ((input: InputShapeFromFields<Fields>) => number)
}
declare const fieldsOf: NonNullable<PothosSchemaTypes.ObjectTypeOptions<Types, object>['fields']>

/** What a mutation answers, for others that answer the same. */
export type MutationResult<Success extends object> = ReturnType<typeof builder.unionType> & { readonly success?: Success }

/**
 * `mutation('signIn', ...)` adds `signIn(input: SignInInput!): SignInResult!` with `union SignInResult = SignInSuccess | ...Problem`.
 * Returns the union, so that `mutationLike` can share it.
 */
export function mutation<Fields extends InputFieldMap, Success extends object>(
  name: string,
  options: MutationOptions<Fields, Success>,
) {
  const title = capitalize(name)
  const success = builder.objectRef<Success>(`${title}Success`)
  success.implement({ description: `\`${name}\` did what was asked.`, fields: options.success })
  const union = builder.unionType(`${title}Result`, {
    description: `What \`${name}\` answers.`,
    types: [success, ...options.problems.map((code) => PROBLEM_TYPES[code])] as never,
    resolveType: (value: unknown) => (isProblem(value) ? PROBLEM_TYPES[value.problem] : success) as never,
  }) as MutationResult<Success>
  addField(name, union, options)
  return union
}

/** A mutation that answers what another one does: `refreshSession` answers a `SignInResult`. */
export function mutationLike<Fields extends InputFieldMap, Success extends object>(
  name: string,
  union: MutationResult<Success>,
  options: Omit<MutationOptions<Fields, Success>, 'success' | 'problems'>,
) {
  addField(name, union, options)
}

function addField<Fields extends InputFieldMap, Success extends object>(
  name: string,
  union: MutationResult<Success>,
  { description, scopes, input, resolve, cost = 10 }: Omit<MutationOptions<Fields, Success>, 'success' | 'problems'>,
) {
  const inputType = builder.inputType(`${capitalize(name)}Input`, { description: `What \`${name}\` takes.`, fields: input })
  builder.mutationField(name, (t) =>
    t.field({
      type: union as never,
      description,
      authScopes: scopes,
      complexity: typeof cost === 'number' ? cost : (args) => cost((args as { input: InputShapeFromFields<Fields> }).input),
      args: { input: t.arg({ type: inputType, required: true, description: 'What it takes.' }) },
      resolve: (_root, args, call) => {
        const { input } = args as { input: InputShapeFromFields<Fields> }
        if (!isTracing()) return resolve(call, input) as never
        return traced(`mutation ${name}`, async () => resolve(call, input)) as never
      },
    }),
  )
}

const capitalize = (name: string) => name.charAt(0).toUpperCase() + name.slice(1)
