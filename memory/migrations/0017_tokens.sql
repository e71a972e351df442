-- With what somebody's own tools may use their memory: only a hash of it is kept.
create table memory.token (
  token_hash bytea primary key,
  workspace text not null,
  user_id text not null,
  made_at timestamptz not null default core.now(),
  expires_at timestamptz not null,
  revoked_at timestamptz
);
create index token_by_user on memory.token (workspace, user_id);
