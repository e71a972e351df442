-- Taking back what was done: by another effect, or by a person who is told exactly what to put right.

alter table actions.intent add column compensates text references actions.intent;
comment on column actions.intent.compensates is 'The intent that this one takes back.';
-- The last fence inside the database: nothing is ever taken back twice.
create unique index intent_taken_back_once on actions.intent (compensates)
  where compensates is not null and state in ('executing', 'in_doubt', 'done');

alter table actions.intent drop constraint intent_state_check;
alter table actions.intent add constraint intent_state_check check (state in
  ('prepared', 'awaiting', 'executing', 'in_doubt', 'done', 'failed', 'refused', 'cancelled', 'compensated'));

create table actions.errand (
  errand_id text primary key,
  intent_id text not null unique references actions.intent,
  run_id text not null,
  why text not null,
  state text not null default 'open' check (state in ('open', 'done', 'impossible')),
  asked_at timestamptz not null default core.now(),
  answered_at timestamptz,
  answered_by text,
  check ((answered_by is not null) = (state <> 'open'))
);
create index errand_of_run on actions.errand (run_id);
