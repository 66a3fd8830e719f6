-- What the example recall_memory reads: a source called `memory`.
create table memories (
  id bigint generated always as identity primary key,
  agent text not null,
  topic text not null,
  body text not null,
  remembered_at timestamptz not null default now()
);
create index on memories (agent, topic);

insert into memories (agent, topic, body) values
  ('senior_architect', 'database', 'We chose PostgreSQL for its transactions; queues live in tables.'),
  ('senior_architect', 'database', 'Partitions are dropped after 90 days, rows are never deleted one by one.'),
  ('senior_architect', 'interface', 'Feeds resume at a cursor; clients keep the last one.'),
  ('ceo', 'budget', 'Anything over a million is decided by the board.');
