-- How far each message is on its way out, and when it is next looked at.
alter table memory.item add column kind text not null default ''
  check (kind in ('', 'chatter', 'task', 'talk', 'decision', 'lasting'));
alter table memory.item add column stage text not null default 'found'
  check (stage in ('found', 'set_aside', 'digest_only'));
alter table memory.item add column due_at timestamptz;
create index item_due on memory.item (due_at) where due_at is not null;

create table memory.upkeep_round (
  round_id bigint generated always as identity primary key,
  at timestamptz not null default core.now(),
  looked int not null,
  set_aside int not null,
  digest_only int not null,
  gone int not null
);
