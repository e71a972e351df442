-- Who is asked next when nobody answers, who answers in whose place, and what is done about an approval that expired.

alter table actions.approval
  -- The chain as policy had it when it was asked, and how far it has come.
  add column chain jsonb not null default '{}',
  add column stage text not null default 'asked' check (stage in ('asked', 'reminded', 'escalated', 'fell_back')),
  -- When the chain is looked at next; nothing while there is nothing left to do.
  add column next_at timestamptz,
  -- Who may answer besides those the decision names, because it was escalated.
  add column also jsonb not null default '[]',
  -- Until when an approval that expired can be asked again; nothing when its run no longer waits for that.
  add column parked_until timestamptz,
  add column reopened_by text,
  add column reopened_at timestamptz;
create index approval_next on actions.approval (next_at) where state = 'pending' and next_at is not null;
create index approval_parked on actions.approval (parked_until) where parked_until is not null;

alter table actions.vote add column in_place_of text;
create index vote_recent on actions.vote (person, at);

-- One row for each person who is away, or in whose place somebody answers, or both.
create table actions.absence (
  workspace text not null,
  person text not null,
  away boolean not null,
  stand_in text,
  until timestamptz not null,
  said_at timestamptz not null default core.now(),
  primary key (workspace, person),
  check (away or stand_in is not null),
  check (stand_in <> person)
);
