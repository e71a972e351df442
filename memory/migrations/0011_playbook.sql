-- How we do things here: rules that people wrote or confirmed. Texts stand under their authors' keys, as everywhere.
create table memory.rule (
  rule_id text primary key,
  scope_id bigint not null references memory.scope on delete cascade,
  kind text not null check (kind in ('style', 'practice')),
  state text not null check (state in ('suggested', 'active', 'dropped')),
  said_by text not null,
  said_at timestamptz not null default core.now(),
  source text not null,
  subjects text[] not null,
  sealed jsonb not null,
  mark bigint not null,
  settled_by text,
  settled_at timestamptz,
  unique (scope_id, kind, mark)
);
comment on column memory.rule.mark is 'what it checks, as a mark: the same rule is kept once, and a dropped one is not suggested again';
create index rule_by_subject on memory.rule using gin (subjects);
alter table memory.rule enable row level security;
alter table memory.rule force row level security;
create policy fence on memory.rule using ((select memory.unfenced())
  or scope_id = any ((select memory.fence())::bigint[]));
