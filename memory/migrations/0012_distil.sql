-- How far each message has been looked through for what is worth knowing, and what came of each round.
alter table memory.item add column distilled int not null default 0;
comment on column memory.item.distilled is 'the text_version last looked through; a later one is still to be';
create index item_undistilled on memory.item (item_id) where tier = 'episode' and distilled < text_version;

create table memory.distil_round (
  round_id bigint generated always as identity primary key,
  at timestamptz not null default core.now(),
  looked int not null,
  claims int not null,
  junk int not null,
  echoes int not null,
  own int not null,
  unsupported int not null,
  model_calls int not null
);
comment on column memory.distil_round.own is 'said by the team itself, so never learned';
comment on column memory.distil_round.unsupported is 'what a model said without words in the source that say so';

-- What looks like an order to a machine waits here for a person; until then recall does not find it.
create table memory.quarantine (
  item_id bigint primary key references memory.item on delete cascade,
  scope_id bigint not null references memory.scope on delete cascade,
  reason text not null,
  state text not null default 'waiting' check (state in ('waiting', 'released', 'kept_out')),
  at timestamptz not null default core.now(),
  settled_by text,
  settled_at timestamptz
);
create index quarantine_waiting on memory.quarantine (scope_id, at) where state = 'waiting';
