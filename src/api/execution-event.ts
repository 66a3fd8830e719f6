/** Events: the facts of an execution's history. */
import { ExecutionEvent } from './refs.ts'

ExecutionEvent.implement({
  description: "One fact in an execution's history.",
  fields: (t) => ({
    seq: t.exposeInt('seq', { description: 'Counts from 1 without gaps.' }),
    type: t.exposeString('type', { description: 'What happened, such as `step.succeeded`.' }),
    at: t.expose('at', { type: 'DateTime', description: "When, by the database's clock; never before the event before it." }),
    step: t.exposeString('step', { nullable: true, description: 'The step it is about.' }),
    path: t.exposeString('path', { nullable: true, description: 'The step run it is about.' }),
    attempt: t.exposeInt('attempt', { nullable: true, description: 'The attempt it is about.' }),
    redacted: t.stringList({
      description: 'What is masked in `data`: JSON pointers (RFC 6901).',
      resolve: ({ redacted }) => [...redacted],
    }),
    data: t.expose('data', { type: 'JSON', nullable: true, description: 'What more there is to say; depends on `type`.' }),
  }),
})
