-- Effects in doubt that only a person can settle.

-- A question about one attempt that left no receipt: asked once, answered once.
create table actions.doubt (
  doubt_id text primary key,
  intent_id text not null references actions.intent,
  attempt_id text not null unique references actions.attempt,
  why text not null,
  state text not null default 'open' check (state in ('open', 'happened', 'absent', 'found_out')),
  asked_at timestamptz not null default core.now(),
  looking_by text,
  looking_at timestamptz,
  settled_by text,
  settled_at timestamptz,
  reference text not null default '',
  delivery_id text unique,
  check ((settled_at is null) = (state = 'open'))
);
