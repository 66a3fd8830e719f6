/** The pages tell the truth: their examples are valid, their codes, names and links exist, their picture is the one that is drawn. */
import { dirname, join } from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { parse, validate } from 'graphql'
import { expect, test } from 'vitest'
import { documentReview } from '../../examples/flows/document-review.ts'
import { featureApproval } from '../../examples/flows/feature-approval.ts'
import { schema } from '../../src/api/schema.ts'
import { SECURITY_KINDS } from '../../src/audit/security-kinds.ts'
import { SETTINGS } from '../../src/config/settings.ts'
import { ANSWER_REFUSALS, FAULTS, PROBLEM_CODES, STEP_ERRORS } from '../../src/errors.ts'
import { FUNCTIONS, MACROS, METHODS } from '../../src/language/cel-functions.ts'
import { compile } from '../../src/language/compile.ts'
import { definitionJsonSchema } from '../../src/language/definition-json-schema.ts'
import type { Definition } from '../../src/language/definition.ts'
import { loadSqlParser } from '../../src/language/sql/sql-parser.ts'
import { STEP_TYPES } from '../../src/language/steps/step-types.ts'
import { ISSUE_CODES } from '../../src/language/issue-list.ts'
import { pictureOf, withStatuses } from '../../src/language/picture/picture-graph.ts'
import type { StepStanding } from '../../src/language/picture/picture-graph.ts'
import { toSvg } from '../../src/language/picture/svg.ts'
import type { AllowList } from '../../src/language/values.ts'
import { DEFAULT_ROLES } from '../../src/language/roles.ts'
import { validateDefinition } from '../../src/language/validate.ts'
import { filesUnder, read } from './source-files.ts'

const PAGES = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', ...filesUnder('docs', /\.md$/)]

interface Block {
  readonly place: string
  readonly text: string
}

/** The fenced blocks of all pages with this info string: ```` ```json flow ````. */
function blocks(info: string): Block[] {
  return PAGES.flatMap((page) => {
    const text = read(page)
    return [...text.matchAll(/^```(.+)\n([^]*?)^```$/gm)]
      .filter(([, found]) => found!.trim() === info)
      .map((match) => ({ place: `${page}:${text.slice(0, match.index).split('\n').length}`, text: match[2]! }))
  })
}

/** Handlers that pages may name: the examples' own. */
const allow: AllowList = {
  roles: new Set(DEFAULT_ROLES),
  handlers: new Set(['echo', 'inline_echo', 'countdown', 'word_count']),
  sources: new Set(['shop', 'memory']),
}

await loadSqlParser()

test('whoever begins at the README finds every page and every room', () => {
  const readme = read('README.md')
  const rooms = new Set(filesUnder('src', /\/.*\//).map((path) => path.split('/').slice(0, 2).join('/')))
  const beside = ['src/commands', 'src/config', 'src/watch', 'src/drill']
  const places = [...PAGES.filter((page) => page !== 'README.md'), ...[...rooms].filter((room) => !beside.includes(room))]
  expect(places.filter((place) => !readme.includes(`](${place})`))).toEqual([])
})

test('each flow shown is valid, without a warning, and fits the published schema', () => {
  const fits = new Ajv2020().compile(definitionJsonSchema())
  const flows = blocks('json flow')
  expect(flows.length).toBeGreaterThan(3)
  for (const { place, text } of flows) {
    const { issues, warnings } = validateDefinition(JSON.parse(text), allow)
    expect([...issues, ...warnings], place).toEqual([])
    expect([fits(JSON.parse(text)), fits.errors], place).toEqual([true, null])
  }
})

test('the flows shown use every step type', () => {
  const used = blocks('json flow').flatMap(({ text }) =>
    Object.values((JSON.parse(text) as { steps: Record<string, { type: string }> }).steps).map(({ type }) => type),
  )
  expect([...new Set(used)].sort()).toEqual([...STEP_TYPES].sort())
})

test('each document shown fits the schema', () => {
  const documents = blocks('graphql')
  expect(documents.length).toBeGreaterThan(3)
  for (const { place, text } of documents) {
    expect(
      validate(schema, parse(text)).map(({ message }) => message),
      place,
    ).toEqual([])
  }
})

/** `` - `CODE` text `` items of a page's section. */
function listed(page: string, section: string): Record<string, string> {
  const [, body = ''] = read(page).split(`\n## ${section}\n`)
  const items = body.split('\n## ')[0]!.matchAll(/^- `(\w+)` (.*)$/gm)
  return Object.fromEntries([...items].map(([, code, text]) => [code, text]))
}

test('docs/errors.md has every code with its text, and no other', () => {
  expect(listed('docs/errors.md', 'Problems')).toEqual(PROBLEM_CODES)
  expect(listed('docs/errors.md', 'Issues')).toEqual(ISSUE_CODES)
  expect(listed('docs/errors.md', 'Why a step failed')).toEqual(STEP_ERRORS)
  expect(listed('docs/errors.md', 'Answers of agents')).toEqual(ANSWER_REFUSALS)
  const faults = Object.entries(FAULTS).map(([code, { status, text }]) => [code, `(HTTP ${status}) ${text}`])
  expect(listed('docs/errors.md', 'Faults')).toEqual(Object.fromEntries(faults))
})

test('docs/security-events.md has every kind of security event, and no other', () => {
  const kinds = Object.entries(SECURITY_KINDS).map(([kind, rule]) => [kind, `(${rule.severity}) ${rule.what} ${rule.advice}`])
  expect(listed('docs/security-events.md', 'What raises one')).toEqual(Object.fromEntries(kinds))
})

test('docs/operating.md has every metric, and no other (A9)', () => {
  // the flow of the drill is called like one
  const files = filesUnder('src', /\.ts$/).filter((path) => !path.startsWith('src/drill/'))
  const made = files.flatMap((path) => [...read(path).matchAll(/name: '(sluice_\w+)'/g)].map(([, name]) => name!))
  expect(made.length).toBeGreaterThan(20)
  const told = [...read('docs/operating.md').matchAll(/^- `(sluice_\w+)/gm)].map(([, name]) => name!)
  expect(told.toSorted()).toEqual(made.toSorted())
})

test('docs/flows.md names every function that expressions have', () => {
  const page = read('docs/flows.md')
  const names = [...FUNCTIONS.keys(), ...METHODS.keys(), ...MACROS]
  expect(names.filter((name) => !page.includes(`\`${name}\``))).toEqual([])
})

test('links lead to files that are there', () => {
  const files = filesUnder('')
  const broken = PAGES.flatMap((page) =>
    [...read(page).matchAll(/\]\(([^)#\s]+)[^)]*\)/g)]
      .map(([, target]) => target!)
      .filter((target) => !/^[a-z]+:/.test(target))
      .map((target) => join(dirname(page), target))
      .filter((path) => !files.some((file) => file === path || file.startsWith(`${path.replace(/\/$/, '')}/`)))
      .map((path) => `${page}: ${path}`),
  )
  expect(broken).toEqual([])
})

test('commands and settings that pages name exist', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
  const settings = new Set(
    Object.values(SETTINGS).flatMap((group) => Object.values(group as Record<string, { name: string }>).map(({ name }) => name)),
  )
  const unknown = PAGES.flatMap((page) => {
    const text = read(page)
    const commands = [...text.matchAll(/npm run ([a-z:]+)/g)].filter(([, name = '']) => !(name in scripts))
    const variables = [...text.matchAll(/\bSLUICE_(?!TEST_)[A-Z_]+\b/g)].filter(
      ([name]) => !settings.has(name) && !settings.has(name.replace(/_FILE$/, '')),
    )
    return [...commands, ...variables].map(([found]) => `${page}: ${found}`)
  })
  expect(unknown).toEqual([])
})

const succeeded = { status: 'SUCCEEDED' } as const
const waits = { status: 'WAITING' } as const
const skipped = { status: 'SKIPPED' } as const

const PICTURES: readonly { flow: Definition; picture: string; standings: Readonly<Record<string, StepStanding>> }[] = [
  {
    flow: featureApproval,
    picture: 'feature-approval',
    standings: {
      analyze: succeeded,
      risk: { ...succeeded, route: 'ceo_approval' },
      ask_ceo: waits,
      ask_cto: skipped,
      auto: skipped,
    },
  },
  {
    flow: documentReview,
    picture: 'document-review',
    standings: { review: succeeded, verdict: { ...succeeded, route: 'revise' }, accepted: skipped, revision: waits },
  },
]

test.each(PICTURES)(
  'the picture $picture is what an execution looks like that waits; `vitest run test/house -u` draws it again',
  async (shown) => {
    const compiled = compile(shown.flow, allow)
    if ('issues' in compiled) throw new Error(JSON.stringify(compiled.issues))
    const svg = toSvg(withStatuses(pictureOf(compiled.program), shown.standings))
    await expect(svg).toMatchFileSnapshot(`../../docs/${shown.picture}.svg`)
  },
)
