-- Runs: the truth about every execution of a workflow. The engine's jobs are only hints that a run may be advanced.

create table graphs.run (
  run_id text primary key,
  delivery_id text not null unique,
  workspace text not null,
  requester text not null,
  workflow text not null,
  workflow_version int not null,
  state text not null default 'ready'
    check (state in ('ready', 'waiting', 'done', 'refused', 'failed', 'stopped', 'needs_attention')),
  epoch bigint not null default 0,
  stalls int not null default 0,
  head text,
  stop_requested boolean not null default false,
  wake_at timestamptz,
  request jsonb not null,
  conversation jsonb not null,
  steps jsonb not null default '[]' check (jsonb_typeof(steps) = 'array'),
  plan_summary text not null default '',
  waiting jsonb not null default '[]' check (jsonb_typeof(waiting) = 'array'),
  outcome text not null default '',
  reasoned_by text not null default '',
  predicted text not null default '',
  sandbox boolean not null default false,
  figures jsonb not null default '{}' check (jsonb_typeof(figures) = 'object'),
  created_at timestamptz not null default core.now(),
  started_at timestamptz,
  finished_at timestamptz,
  check ((finished_at is not null) = (state in ('done', 'refused', 'failed', 'stopped')))
);
comment on column graphs.run.head is 'The newest checkpoint when the run was last begun: a newer one is progress.';
create index run_recent on graphs.run (created_at desc);
create index run_recent_of_requester on graphs.run (requester, created_at desc);
create index run_finished on graphs.run (workflow, finished_at desc) where state = 'done';
create index run_runnable on graphs.run (created_at) where state = 'ready';
create index run_due on graphs.run (wake_at) where state = 'waiting' and wake_at is not null;

-- Wakes are counted beside the run, not in it: who wakes a run often holds the row that the run's own transaction
-- is about to read (an approval, say), and must not wait for that transaction in turn.
create table graphs.wake (
  run_id text primary key references graphs.run on delete cascade,
  wakes bigint not null default 0
);

-- Raises CS001 unless `of_epoch` is the run's newest owner; a newer owner then waits for the caller's transaction.
create function graphs.fence(of_run text, of_epoch bigint) returns void language plpgsql as $$
begin
  perform 1 from graphs.run where run_id = of_run and epoch = of_epoch for share;
  if not found then
    raise exception 'run % has a newer owner than epoch %', of_run, of_epoch using errcode = 'CS001';
  end if;
end $$;
