-- Earned autonomy: what was suggested to people, what they granted, until when, and why it ended.
create table actions.autonomy (
  grant_id text primary key,
  workspace text not null,
  action text not null,
  rule text not null,
  above_minor bigint not null,
  up_to_minor bigint not null check (up_to_minor > above_minor),
  currency text not null,
  evidence jsonb not null,
  state text not null default 'suggested' check (state in
    ('suggested', 'granted', 'declined', 'taken_back', 'expired')),
  lasts interval not null,
  suggested_at timestamptz not null default core.now(),
  decided_at timestamptz,
  decided_by text,
  expires_at timestamptz,
  ended_at timestamptz,
  why text not null default ''
);
-- One open question, and one grant, for each rule.
create unique index autonomy_open_once on actions.autonomy (workspace, action, rule)
  where state in ('suggested', 'granted');
