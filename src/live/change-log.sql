-- What changed after one transaction's number and, unless null, up to another's, as far as no transaction that still runs could add to it
-- (src/live/change-log.ts calls these). Indexes are walked whatever the statistics say: who comes back late reads pages, never the rest.

-- Which database this is: a dump in another cluster, a restored backup and a promoted standby each count transactions anew. A standby
-- that was promoted has its new timeline in its checkpoint only after minutes; until then it is where recovery ended.
create or replace function sluice.database_epoch() returns text language sql stable as $$
  select left(md5(concat_ws(' ', c.system_identifier, greatest(k.timeline_id, r.min_recovery_end_timeline), d.oid, i.id)), 12)
  from pg_control_system() c, pg_control_checkpoint() k, pg_control_recovery() r, pg_database d, sluice.installation i
  where d.datname = current_database()
$$;

-- `xmin`: of the oldest transaction that runs; `first`, `newest`: that are remembered, below it; `last`: of those in `ids`; `more`: than
-- these, which are read commit by commit; `pending`: something is committed that is not below `xmin`. What is beyond `xmax` was never
-- committed here: a restore brought it.
create or replace function sluice.commits_after(after xid8, up_to xid8, most_commits integer, most_ids integer)
returns table (epoch text, xmin text, first text, newest text, last text, ids uuid[], more boolean, pending boolean)
language sql stable
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
as $$
  with now as materialized (select pg_snapshot_xmin(s) as xmin, pg_snapshot_xmax(s) as xmax from pg_current_snapshot() s),
  page as materialized (
    select l.xid, l.ids, sum(cardinality(l.ids)) over (order by l.xid) - cardinality(l.ids) as before
    from (select l.xid, l.ids from sluice.commit_log l
      where l.xid > $1 and l.xid < (select n.xmin from now n) and l.xid <= coalesce($2, (select n.xmin from now n))
      order by l.xid limit $3) l),
  read as materialized (select * from page p where p.before < $4)
  select sluice.database_epoch(), n.xmin::text,
    (select l.xid::text from sluice.commit_log l where l.xid < n.xmin order by l.xid limit 1),
    (select l.xid::text from sluice.commit_log l where l.xid < n.xmin order by l.xid desc limit 1),
    (select r.xid::text from read r order by r.xid desc limit 1),
    array(select distinct unnest(r.ids) from read r),
    (select count(*) from page) = $3 or (select count(*) from page) > (select count(*) from read),
    (select l.xid from sluice.commit_log l where l.xid < n.xmax order by l.xid desc limit 1) >= n.xmin
  from now n
$$;

-- The same of agent requests, each of which is known by its last change alone: none is ever forgotten before its execution is.
create or replace function sluice.agent_requests_after(after xid8, up_to xid8, most integer)
returns table (epoch text, xmin text, first text, newest text, last text, ids uuid[], more boolean, pending boolean)
language sql stable
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
as $$
  with now as materialized (select pg_snapshot_xmin(s) as xmin, pg_snapshot_xmax(s) as xmax from pg_current_snapshot() s),
  page as materialized (
    select r.changed_xid as xid from sluice.agent_requests r
    where r.changed_xid > $1 and r.changed_xid < (select n.xmin from now n)
      and r.changed_xid <= coalesce($2, (select n.xmin from now n))
    order by r.changed_xid limit $3),
  goal as materialized (select (select p.xid from page p order by p.xid desc limit 1) as xid)
  select sluice.database_epoch(), n.xmin::text, null,
    (select r.changed_xid::text from sluice.agent_requests r where r.changed_xid < n.xmin order by r.changed_xid desc limit 1),
    g.xid::text,
    array(select r.id from sluice.agent_requests r where r.changed_xid > $1 and r.changed_xid <= g.xid),
    (select count(*) from page) = $3,
    (select r.changed_xid from sluice.agent_requests r where r.changed_xid < n.xmax order by r.changed_xid desc limit 1) >= n.xmin
  from now n, goal g
$$;
