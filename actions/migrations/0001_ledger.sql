-- The ledger: intents, their revisions, the approvals people answered, the attempts and their receipts.

create table actions.intent (
  intent_id text primary key,
  run_id text not null,
  step text not null,
  workspace text not null,
  workflow text not null,
  requester text not null,
  conversation jsonb not null,
  action text not null,
  effect text not null,
  connector text not null,
  sandbox boolean not null,
  state text not null check (state in
    ('prepared', 'awaiting', 'executing', 'in_doubt', 'done', 'failed', 'refused', 'cancelled')),
  revision int not null,
  result jsonb,
  outcome text not null default '',
  cause text not null default '',
  created_at timestamptz not null default core.now(),
  ended_at timestamptz,
  unique (run_id, step)
);
create index intent_recent on actions.intent (created_at desc);

create table actions.revision (
  intent_id text not null references actions.intent,
  revision int not null,
  record jsonb not null,
  digest text not null,
  receiver_key text not null unique,
  summary text not null,
  origins jsonb not null,
  evidence jsonb not null,
  created_at timestamptz not null default core.now(),
  primary key (intent_id, revision)
);

create table actions.approval (
  approval_id text primary key,
  intent_id text not null,
  revision int not null,
  digest text not null,
  decision jsonb not null,
  state text not null default 'pending' check (state in
    ('pending', 'approved', 'rejected', 'expired', 'superseded', 'cancelled')),
  quorum int not null check (quorum >= 1),
  asked_at timestamptz not null default core.now(),
  expires_at timestamptz not null,
  decided_at timestamptz,
  decided_by text,
  reason text not null default '',
  foreign key (intent_id, revision) references actions.revision
);
create unique index approval_open_once on actions.approval (intent_id) where state = 'pending';
create index approval_due on actions.approval (expires_at) where state = 'pending';

create table actions.vote (
  approval_id text not null references actions.approval,
  person text not null,
  verdict text not null check (verdict in ('approve', 'reject')),
  reason text not null default '',
  delivery_id text not null unique,
  at timestamptz not null default core.now(),
  primary key (approval_id, person)
);

create table actions.attempt (
  attempt_id text primary key,
  intent_id text not null,
  revision int not null,
  number int not null,
  state text not null check (state in ('executing', 'in_doubt', 'unsent', 'done', 'failed')),
  request_sha256 text not null,
  policy_version text not null,
  verdict text not null,
  approval_id text references actions.approval,
  deadline_at timestamptz not null,
  started_at timestamptz not null default core.now(),
  ended_at timestamptz,
  receipt jsonb,
  error text not null default '',
  foreign key (intent_id, revision) references actions.revision,
  unique (intent_id, number)
);
-- At most one attempt of an intent can be under way: the last fence inside the database.
create unique index attempt_open_once on actions.attempt (intent_id) where state in ('executing', 'in_doubt');
