-- Every call of a model, and what of each budget is used up: reserved before a call, settled after it.

-- One row for each thing a budget counts. `period` is the day or month it is about, empty for the life of a run.
create table graphs.spend (
  workspace text not null,
  scope text not null check (scope in ('run', 'workflow', 'teammate', 'person', 'day', 'workspace')),
  subject text not null,
  period text not null default '',
  micro bigint not null default 0,
  tokens bigint not null default 0,
  steps bigint not null default 0,
  actions bigint not null default 0,
  milliseconds bigint not null default 0,
  raised_micro bigint not null default 0,
  raised_tokens bigint not null default 0,
  raised_steps bigint not null default 0,
  raised_actions bigint not null default 0,
  raised_milliseconds bigint not null default 0,
  raises int not null default 0,
  primary key (workspace, scope, subject, period)
);
comment on column graphs.spend.micro is 'Millionths of a US dollar, whatever is reserved included.';

create table graphs.model_call (
  call_id text primary key,
  workspace text not null,
  run_id text references graphs.run on delete cascade,
  workflow text not null default '',
  node text not null default '',
  requester text not null,
  purpose text not null,
  skill text not null,
  model text not null,
  asked text not null,
  outcome text not null default 'started',
  tokens_in bigint not null default 0,
  tokens_out bigint not null default 0,
  micro bigint,
  partial boolean not null default false,
  reserved_micro bigint not null,
  reserved_tokens bigint not null,
  draws jsonb not null check (jsonb_typeof(draws) = 'array'),
  answer jsonb,
  started_at timestamptz not null default core.now(),
  lost_after timestamptz not null,
  ended_at timestamptz,
  milliseconds bigint
);
comment on column graphs.model_call.asked is 'SHA-256 of the question: a node that runs again is given the answer it had.';
comment on column graphs.model_call.answer is 'Kept until its run has ended.';
comment on column graphs.model_call.micro is 'Null where the price of the model is unknown.';
create index model_call_recent on graphs.model_call (started_at desc);
create index model_call_of_run on graphs.model_call (run_id);
create index model_call_open on graphs.model_call (lost_after) where outcome = 'started';

-- What was counted for a run already, so that a node that runs again counts it once.
create table graphs.counted (
  run_id text not null references graphs.run on delete cascade,
  what text not null,
  primary key (run_id, what)
);

-- Each raise of a budget that people agreed to, by the receiver's key of its effect.
create table graphs.raised (
  receiver_key text primary key,
  workspace text not null,
  scope text not null,
  subject text not null,
  period text not null,
  measure text not null check (measure in ('micro', 'tokens', 'steps', 'actions', 'milliseconds')),
  amount bigint not null check (amount > 0),
  raised_at timestamptz not null default core.now()
);
