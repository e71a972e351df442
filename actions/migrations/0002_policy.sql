-- Policy over time: what each attempt was about, so that rules can count and sum, and what was judged by which rules.

alter table actions.attempt
  add column recipient text,
  add column customer text,
  add column amount_minor bigint,
  add column currency text;
-- Windows and "first time" look only at what has happened or may still happen.
create index attempt_counts on actions.attempt (started_at) where state in ('executing', 'in_doubt', 'done');
create index attempt_recipient on actions.attempt (recipient) where state = 'done';

-- The first judgement of each revision with everything policy looked at: what `policy explain` and `simulate` read.
create table actions.judgement (
  intent_id text not null,
  revision int not null,
  at timestamptz not null default core.now(),
  policy_version text not null,
  verdict text not null,
  rules jsonb not null,
  reasons jsonb not null,
  considered jsonb not null,
  recipient text,
  customer text,
  primary key (intent_id, revision),
  foreign key (intent_id, revision) references actions.revision
);
create index judgement_recent on actions.judgement (at desc);

-- Every version of policy.yml, team.yml and rulebook.yml that was ever offered; one of them is in force.
create table actions.rules_version (
  version text primary key,
  policy text not null,
  team text not null,
  rulebook text not null,
  seen_at timestamptz not null default core.now()
);

create table actions.rules_change (
  change_id text primary key,
  workspace text not null,
  version text not null references actions.rules_version,
  was text,
  state text not null check (state in ('waiting', 'in_force', 'replaced', 'withdrawn')),
  kind text not null check (kind in ('first', 'tightened', 'loosened', 'neutral')),
  differences jsonb not null default '[]',
  quorum int not null default 0,
  why text not null default '',
  at timestamptz not null default core.now(),
  in_force_at timestamptz
);
create unique index rules_change_in_force on actions.rules_change (workspace) where state = 'in_force';
create unique index rules_change_waiting on actions.rules_change (workspace) where state = 'waiting';

create table actions.rules_consent (
  change_id text not null references actions.rules_change,
  person text not null,
  delivery_id text not null unique,
  at timestamptz not null default core.now(),
  primary key (change_id, person)
);
