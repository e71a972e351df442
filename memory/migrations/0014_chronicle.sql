-- Digests of threads, days and weeks: each sentence with the items it stands for; made anew whenever these change.
create table memory.digest (
  digest_id bigint generated always as identity primary key,
  scope_id bigint not null references memory.scope on delete cascade,
  kind text not null check (kind in ('thread', 'day', 'week')),
  name text not null,
  item_id bigint not null references memory.item on delete cascade,
  made_of text not null,
  sealed jsonb not null,
  subjects text[] not null,
  made_at timestamptz not null default core.now(),
  unique (scope_id, kind, name)
);
comment on column memory.digest.made_of is 'a hash over its sources as they were: another one means that it is to be made anew';
comment on column memory.digest.sealed is 'its sentences, each with the items it stands for';
create index digest_by_item on memory.digest (item_id);
alter table memory.digest enable row level security;
alter table memory.digest force row level security;
create policy fence on memory.digest using ((select memory.unfenced())
  or scope_id = any ((select memory.fence())::bigint[]));

-- Digests that forgetting took with a message: whatever is left of their sources is told again.
create table memory.digest_owed (
  owed_id bigint generated always as identity primary key,
  scope_id bigint not null references memory.scope on delete cascade,
  kind text not null,
  name text not null
);
