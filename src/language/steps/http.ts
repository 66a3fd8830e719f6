/** `http` in a definition: a call to a service, through the one client that leaves. */
import { z } from 'zod'
import { commonFields, json, name, template, text, type AnyStep } from '../any-step.ts'
import { compileObject } from '../template.ts'
import { objectOf } from '../template-schema.ts'
import type { Json, JsonObject, RetryPolicy, Template } from '../values.ts'
import { checkSecrets } from './handler.ts'
import { findSecretTexts, type SecretText } from './secret-texts.ts'
import type { StepCompiler, StepLanguage } from './step-language.ts'

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const
type Method = (typeof METHODS)[number]

export interface HttpStep extends AnyStep {
  readonly type: 'http'
  /** GET unless there is a body, then POST */
  readonly method?: Method
  readonly url: string
  /** texts, numbers, booleans and lists of them; null is left out */
  readonly query?: JsonObject
  readonly headers?: { readonly [name: string]: string }
  /** a text is sent as it is, everything else as JSON */
  readonly body?: Json
  /** names of secrets of the flow's owner, which texts of the request use as `${{ secrets.NAME }}` */
  readonly secrets?: readonly string[]
  /** statuses that are a success: 200, or "2xx"; every 2xx by default */
  readonly expect?: readonly (number | string)[]
  /** of the answer's body, 1,000,000 */
  readonly maxBytes?: number
  readonly atMostOnce?: boolean
}
export interface HttpSpec {
  type: 'http'
  method: Method
  /** makes `{ method, url, query, headers, body }`; a text with secrets has their names in it */
  request: Template
  /** what goes into the request in its place when it is sent */
  secretTexts: readonly SecretText[]
  secrets: readonly string[]
  expect: readonly (number | string)[]
  maxBytes: number
  atMostOnce: boolean
}

/** E3: faults of the network only; what a service answers fails fast. */
const RETRY: RetryPolicy = {
  ...{ attempts: 3, firstDelayMs: 500, factor: 2, maxDelayMs: 60_000, jitter: 0.2 },
  on: ['HTTP_NETWORK', 'TIMEOUT', 'CIRCUIT_OPEN'],
}
const MAX_BYTES = 1_000_000
/** It takes a place from other calls meanwhile. */
const MAX_TIMEOUT_MS = 3_600_000
const HEADER = /^[A-Za-z0-9-]{1,100}$/

export const http: StepLanguage<HttpStep, HttpSpec> = {
  schema: z.strictObject({
    ...commonFields,
    type: z.literal('http').describe('Calls a service.'),
    method: z.enum(METHODS).optional().describe('GET unless there is a body, then POST.'),
    url: text.describe('http:// or https://; values put into it stay inside their part of it.'),
    query: template.optional().describe('Added to the URL: texts, numbers, booleans and lists of them; null is left out.'),
    headers: z.record(z.string().regex(HEADER, 'must be names of headers'), text).optional().describe('Texts.'),
    body: json.optional().describe('A text is sent as it is, everything else as JSON.'),
    secrets: z.array(name).min(1).max(10).optional().describe("Secrets of the flow's owner, used as ${{ secrets.NAME }}."),
    expect: z
      .array(z.union([z.int().min(100).max(599), z.string().regex(/^[1-5]xx$/)], { error: 'must be like 404 or "2xx"' }))
      .min(1)
      .max(50)
      .optional()
      .describe('Statuses that are a success, like 404 or "2xx"; every 2xx by default.'),
    maxBytes: z.int().min(0).max(MAX_BYTES).optional().describe("Of the answer's body, 1,000,000 by default."),
    atMostOnce: z.boolean().optional().describe('It never runs again when it is not known what became of it.'),
  }),
  mayRunElsewhere: true,
  compensates: true,
  timeout: { otherwiseMs: 30_000, mostMs: MAX_TIMEOUT_MS },
  retry: RETRY,
  compile(step, compiler) {
    const { secrets = [], method = step.body === undefined ? 'GET' : 'POST' } = step
    const { issues, path } = compiler
    if (step.body !== undefined && (method === 'GET' || method === 'HEAD'))
      issues.add('INVALID_VALUE', [...path, 'body'], `a ${method} has no body`)
    checkSecrets(secrets, compiler)
    if (secrets.length > 0) checkOrigin(step.url, compiler)
    const { url, query, headers, body } = step
    const { value, found } = findSecretTexts({ url, query, headers, body }, secrets, compiler)
    return {
      ...{ type: 'http', method, request: compileRequest(method, value, compiler), secretTexts: found, secrets },
      ...{ expect: step.expect ?? ['2xx'], maxBytes: step.maxBytes ?? MAX_BYTES, atMostOnce: step.atMostOnce ?? false },
    }
  },
  given: (spec) => spec.request,
  returns: () => objectOf({ status: { type: 'integer' }, headers: { type: 'object' }, body: {} }),
}

type Request = Pick<HttpStep, 'url' | 'query' | 'headers' | 'body'>

function compileRequest(method: Method, { url, query, headers, body }: Request, compiler: StepCompiler): Template {
  const texts = Object.entries(headers ?? {}).map(([key, value]) => [key, compiler.text(value, 'headers', key)] as const)
  const names = new Set<string>()
  for (const [key] of texts) {
    if (names.has(key.toLowerCase()))
      compiler.issues.add('DUPLICATE', [...compiler.path, 'headers', key], `the header ${key} is there twice`)
    names.add(key.toLowerCase())
  }
  return compileObject({
    method: compiler.template(method, 'method'),
    url: compiler.url(url, 'url'),
    ...(query && { query: compiler.template(query, 'query') }),
    ...(headers && { headers: compileObject(Object.fromEntries(texts)) }),
    ...(body !== undefined && { body: compiler.template(body, 'body') }),
  })
}

/** Whoever starts the flow must not choose who gets its owner's secrets. */
function checkOrigin(url: string, { issues, path }: StepCompiler): void {
  const open = url.indexOf('${{')
  const isSecret = /^\$\{\{\s*secrets\./.test(url)
  if (open < 0 || isSecret || /^https?:\/\/[^/?#\\]+[/?#]/.test(url.slice(0, open))) return
  issues.add('INVALID_VALUE', [...path, 'url'], 'where secrets are sent, scheme and host are not computed')
}
