-- A run that talks with people: while its dialogue is open, what they say in its conversation is kept for it.

create table graphs.dialogue (
  run_id text primary key references graphs.run on delete cascade,
  opened_at timestamptz not null default core.now(),
  closed_at timestamptz
);
create index dialogue_open on graphs.dialogue (run_id) where closed_at is null;

create table graphs.reply (
  run_id text not null references graphs.dialogue on delete cascade,
  place int not null,
  delivery_id text not null,
  person text not null,
  text text not null,
  said_at timestamptz not null default core.now(),
  primary key (run_id, place),
  unique (run_id, delivery_id)
);
comment on column graphs.reply.place is 'Counts the replies to one run from 1: a run waits for the place after the last it has read.';

-- One brief, one post: whoever holds it writes it, and another may take it over only from a run that ended without one.
create table graphs.brief (
  workspace text not null,
  fingerprint text not null,
  run_id text not null references graphs.run,
  url text not null default '',
  published_at timestamptz,
  primary key (workspace, fingerprint)
);
