-- What an import brought that this release does not know: kept beside its line, and given back by the next export.
create table memory.unknown (
  unknown_id bigint generated always as identity primary key,
  scope_id bigint references memory.scope on delete cascade,
  workspace text not null,
  kind text not null,
  ref text not null,
  subjects text[] not null,
  sealed jsonb not null,
  unique (workspace, kind, ref)
);

-- Every export that was written to a file, so that forgetting can follow it there.
create table memory.export (
  export_id text primary key,
  workspace text not null,
  made_by text not null,
  made_at timestamptz not null default core.now(),
  path text not null,
  lines int not null,
  erased int not null default 0,
  gone_at timestamptz
);
