-- Standing orders, and the one row per due occurrence that makes a fire happen once.

create table scheduler.schedule (
  schedule_id text primary key,
  workspace text not null,
  workflow text not null,
  text text not null,
  cron text not null,
  zone text not null,
  owner text not null,
  conversation jsonb not null,
  paused boolean not null default false,
  catch_up text not null check (catch_up in ('skip', 'latest', 'all')),
  overlap text not null check (overlap in ('skip', 'queue', 'allow')),
  max_late interval not null,
  version int not null default 1,
  created_at timestamptz not null default core.now(),
  -- Nothing that was due before this instant is ever caught up: it was not active then.
  active_since timestamptz not null default core.now(),
  -- Everything due up to this instant has its row in scheduler.fire.
  settled_until timestamptz,
  removed_at timestamptz
);

create table scheduler.fire (
  schedule_id text not null references scheduler.schedule,
  fire_key text not null,
  due_at timestamptz not null,
  -- Null only inside the transaction that claims it.
  outcome text check (
    outcome in ('started', 'queued', 'skipped_overlap', 'skipped_late', 'missed', 'refused')
  ),
  run_id text,
  reason text not null default '',
  claimed_at timestamptz not null default core.now(),
  primary key (schedule_id, fire_key),
  check ((outcome = 'started') = (run_id is not null))
);
create index fire_recent on scheduler.fire (schedule_id, due_at desc);
create index fire_queued on scheduler.fire (schedule_id, due_at) where outcome = 'queued';

create function scheduler.schedule_rings() returns trigger language plpgsql as $$
begin
  perform pg_notify('scheduler_changed', '');
  return null;
end $$;
create trigger schedule_rings after insert or update of version on scheduler.schedule
  for each statement execute function scheduler.schedule_rings();
