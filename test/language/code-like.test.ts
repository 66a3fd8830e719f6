import fc from 'fast-check'
import { expect, test } from 'vitest'
import { findCode } from '../../src/language/code-like.ts'
import { validateDefinition } from '../../src/language/validate.ts'
import { cpuMs } from '../harness/cpu-time.ts'
import { allow, flowOf, step } from './example-definition.ts'

const CODE = [
  'eval("x")',
  'eval ("x")',
  'EVAL("x")',
  '(0, eval)("x"); eval(atob(y))',
  'exec("ls -la")',
  "exec('import os')",
  'execSync("id")',
  'spawn("sh", ["-c", "id"])',
  'new Function("return 1")()',
  'Function("return process")()',
  'setTimeout("alert(1)", 1)',
  'a; require("fs")',
  "require('child_process').execSync('id')",
  'import("fs")',
  'import.meta.url',
  'module.exports = x',
  'process.env.SECRET',
  'process.exit(1)',
  'process.mainModule.require("fs")',
  'process["env"]',
  'process.binding("spawn_sync")',
  'globalThis.process',
  'globalThis["eval"]',
  'x.constructor("return 1")',
  '"".constructor.constructor("return 1")()',
  'a["constructor"]["prototype"]',
  'Object.prototype.polluted = 1',
  '{"__proto__": {"admin": true}}',
  '__import__("os").system("id")',
  '().__class__.__bases__[0].__subclasses__()',
  'x.__globals__["os"]',
  'x.__init__.__globals__',
  'os.system("rm -rf /")',
  'subprocess.Popen(["id"])',
  'pickle.loads(data)',
  'getattr(x, "y")',
  'globals()["x"]',
  'shell_exec("id")',
  'Runtime.getRuntime().exec("id")',
  '{{7*7}}',
  '{{ 7*7 }}',
  "{{ ''.join(x) }}",
  '{{constructor.constructor("alert(1)")()}}',
  '{{#with "s" as |string|}}{{/with}}',
  '{{ config.items() }}',
  '{{request|attr("application")}}',
  '${7*7}',
  '${jndi:ldap://x/a}',
  '${T(java.lang.Runtime).getRuntime()}',
  '${input.name}',
  '#{7*7}',
  '#{T(java.lang.System).getenv()}',
  '<%= 7*7 %>',
  '<% system("id") %>',
  '<?php echo 1 ?>',
  '{% import os %}',
  '{%- if x -%}',
  '<script>alert(1)</script>',
  '< SCRIPT src=x>',
  'javascript:alert(1)',
  'data:text/html;base64,xxx',
  // other ways to write the same
  'ｅｖａｌ("x")',
  'eval（"x"）',
  'ev\u200bal("x")',
  '\\u0065val("x")',
  '\\x65val("x")',
  '\\u{65}val("x")',
  '＿＿proto＿＿',
]

const PROSE = [
  'Review the process.',
  'Start the process. Then wait (at most a day).',
  'the process.then the review',
  'The executive (CEO) requires an evaluation.',
  'Evaluation (see the annex): eval, exec, require and import are only words here.',
  'Which file(s) does it require(d)? The import(s) and the build(s).',
  'import the data; export the report',
  'a prototype of it, the constructor of the bridge, its class and its globals',
  'Set the timeout (in seconds), the function (of time) and the interval (a week).',
  'Compile(d) by the editors; the system (old) and the operating system.',
  'Dear {{ name }}, your order {{order.id}} is on its way.',
  'Hello ${name}, it costs $5 (or ${price}).',
  '100 % of {them}, #1 {of} 5 <b> and a < b > c; if x <= 5 then {a: 1}',
  'Fish & chips, 50% off!!! C:\\temp\\users \\u00 \\xyz https://example.com/a?b=c&d=e#f',
  'query { user(id: $id) { name friends(first: 10) { edges { node { id } } } } }',
  "'; DROP TABLE workflows; --",
  'select id, text from memories where topic = $1 and position($2 in text) > count(*)',
  '^[a-z]+(?:\\.[a-z]+)*$',
  'Das Verfahren prüfen (bitte bis Freitag) — 評価する（明日）。 Процесс (новый).',
  'javascript: the good parts; the script of the play',
  '{"a": {"b": {"c": 1}}}',
  'arguments for it, document.pdf, window.open tomorrow, os.updates, java.language',
]
const EXPRESSIONS = [
  '${{ input.process.name }}',
  '${{ input.process.environment == "production" ? 1 : 2 }}',
  '${{ input.items.map(i, i.name + "!").filter(n, n.matches("^[a-z]+$")) }} of ${{ size(input.items) }}',
  '${{ {"a": {"b": input.x}} }}',
  'to write it: ${{ "${{" }}',
]

test.each(CODE)('%j is refused in every part of a definition, also as a key (C3)', (text) => {
  const definition = {
    name: `x ${text}`.replaceAll('/', ' '),
    description: text,
    input: { properties: { a: { description: text, enum: [text] } } },
    steps: { a: step({ description: text, set: { x: [{ y: text }], [text]: 1 }, when: text, on: text }) },
    output: { o: text },
    metadata: { note: [text] },
  }
  const paths = validateDefinition(definition, allow)
    .issues.filter(({ code }) => code === 'FORBIDDEN_CONTENT' || code === 'FORBIDDEN_KEY')
    .map(({ path }) => path.join('.'))
  const wanted = [
    ...(text.includes('/') ? [] : ['name']),
    'description',
    'input.properties.a.description',
    'input.properties.a.enum.0',
    'steps.a.description',
    'steps.a.set.x.0.y',
    `steps.a.set.${text}`,
    'steps.a.when',
    'steps.a.on',
    'output.o',
    'metadata.note.0',
  ]
  expect(paths).toEqual(expect.arrayContaining(wanted))
})

test.each([...PROSE, ...EXPRESSIONS])('%j is not code (C3)', (text) => {
  expect(findCode(text)).toBeUndefined()
})

test.each(EXPRESSIONS)('the expression %j is valid where expressions are', (text) => {
  expect(validateDefinition(flowOf({ a: step({ set: { x: text } }) }), allow).issues).toEqual([])
})

test('keys that only look like a prototype key are refused too (C3)', () => {
  const definition = flowOf(
    { a: step() },
    { metadata: { ['＿＿proto＿＿']: 1, ['con\u200bstructor']: 1, ['ｐrototype']: 1, a: 1 } },
  )
  expect(validateDefinition(definition, allow).issues.map(({ code }) => code)).toEqual(Array(3).fill('FORBIDDEN_KEY'))
})

test('what is found is quoted in a short piece, with a hint where another language was meant', () => {
  const { issues } = validateDefinition(flowOf({ a: step({ set: { x: `Hello \${input.name} ${'x'.repeat(1_000)}` } }) }), allow)
  expect(issues).toEqual([
    {
      code: 'FORBIDDEN_CONTENT',
      path: ['steps', 'a', 'set', 'x'],
      message: 'the text looks like code: ${input.name}',
      hint: 'expressions are written ${{ }}',
    },
  ])
})

test('code is found wherever it stands in a text', () => {
  const word = fc.stringMatching(/^[a-z ,]{0,40}$/)
  fc.assert(
    fc.property(word, fc.constantFrom(...CODE.slice(0, -1)), word, (before, code, after) => {
      expect(findCode(`${before} ${code} ${after}`)).toBeDefined()
    }),
    { numRuns: 500 },
  )
})

test.each(['{', '{{', '#{', '${', '${x', '<', '(', '\\u', '__', 'eval ', 'process', ' ', '\u200b', 'require(', '{{ x'])(
  'a definition full of %j is looked through in good time (C3)',
  (piece) => {
    const text = piece.repeat(Math.floor(260_000 / piece.length / new TextEncoder().encode(piece).length))
    const started = cpuMs()
    findCode(text)
    expect(cpuMs() - started).toBeLessThan(1_000)
  },
)
