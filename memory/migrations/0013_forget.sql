-- What was to be forgotten, and the receipt of it: ids and hashes of what is gone, never a word of it.
create table memory.erasure (
  erasure_id text primary key,
  workspace text not null,
  kind text not null check (kind in ('person', 'message', 'scope', 'span')),
  what jsonb,
  mark bigint not null,
  asked_by text not null,
  asked_at timestamptz not null default core.now(),
  state text not null default 'asked' check (state in ('asked', 'erased', 'done')),
  erased_at timestamptz,
  done_at timestamptz,
  scopes bigint[] not null default '{}',
  items bigint[] not null default '{}',
  hashes text[] not null default '{}',
  counts jsonb not null default '{}',
  left_over jsonb not null default '{}',
  rewritten text[] not null default '{}',
  probes jsonb not null default '{}',
  wal_until timestamptz,
  backups_until timestamptz
);
comment on column memory.erasure.what is 'what to forget; gone once that is done, when its mark alone says whether it was this';
comment on column memory.erasure.hashes is 'SHA-256 of what stood sealed in the log, in the order of items';
comment on column memory.erasure.left_over is 'what could not be erased yet, such as the checkpoints of a run that goes on';
create index erasure_open on memory.erasure (asked_at) where state <> 'done';
