-- Time, what we owe people, and what can never be altered.

-- Every query asks core.now(). Only a database whose name begins with "test_" can shift it.
create table core.clock_shift (
  only_row boolean primary key default true check (only_row),
  shift interval not null,
  constraint only_in_test_databases check (starts_with(current_database(), 'test_'))
);

create function core.now() returns timestamptz language sql stable as $$
  select clock_timestamp() + coalesce((select shift from core.clock_shift), interval '0')
$$;

-- A card is a message that is a view of a stored row (kind + subject). It can stand in several conversations.
create table core.card (
  card_id text primary key,
  kind text not null,
  subject_id text not null,
  workspace text not null,
  channel text not null,
  thread_ts text,
  root_card_id text references core.card,
  ts text,
  rendered_sha256 text,
  created_at timestamptz not null default core.now(),
  posted_at timestamptz,
  unique nulls not distinct (kind, subject_id, workspace, channel, thread_ts, root_card_id)
);

create table core.outbox (
  outbox_id bigint generated always as identity primary key,
  mark text not null unique,
  lane text not null,
  kind text not null check (kind in ('card', 'post', 'ephemeral')),
  workspace text not null,
  channel text not null,
  thread_ts text,
  root_card_id text references core.card,
  card_id text references core.card,
  person text,
  receiver_key text unique,
  payload jsonb not null default '{}',
  state text not null default 'owed' check (state in ('owed', 'sending', 'sent', 'undelivered')),
  attempts int not null default 0,
  next_at timestamptz not null default core.now(),
  claimed_until timestamptz,
  ts text,
  error text,
  created_at timestamptz not null default core.now(),
  ended_at timestamptz,
  check ((kind = 'card') = (card_id is not null)),
  check ((kind = 'ephemeral') = (person is not null))
);
create index outbox_open on core.outbox (lane, outbox_id) where state in ('owed', 'sending');
-- Coalescing: however often a row changes, a card owes one rendering, made from the row as it is when sent.
create unique index outbox_card_once on core.outbox (card_id) where state = 'owed';

create function core.outbox_rings() returns trigger language plpgsql as $$
begin
  perform pg_notify('core_outbox', '');
  return null;
end $$;
create trigger outbox_rings after insert on core.outbox for each statement execute function core.outbox_rings();

-- Append-only, one hash chain per workspace; the head row is locked, so an append is the last statement of its
-- transaction.
create table core.audit_head (
  workspace text primary key,
  seq bigint not null,
  hash bytea not null
);

create table core.audit (
  workspace text not null,
  seq bigint not null,
  at timestamptz not null,
  event text not null,
  actor jsonb not null,
  subject jsonb not null,
  detail jsonb not null,
  prev bytea not null,
  hash bytea not null,
  primary key (workspace, seq)
);
create index audit_by_run on core.audit ((subject ->> 'run_id'), seq);

-- Length-prefixed fields, so that no two different rows can have the same bytes.
create function core.audit_hash(prev bytea, variadic fields text[]) returns bytea language sql immutable as $$
  select sha256(prev || convert_to(string_agg(octet_length(field) || ':' || field, '' order by place), 'UTF8'))
  from unnest(fields) with ordinality as t(field, place)
$$;

create function core.audit_append(of_workspace text, what text, who jsonb, about jsonb, more jsonb)
returns bigint language plpgsql security definer set search_path = pg_catalog as $$
declare
  head core.audit_head;
  stamp timestamptz;
  link bytea;
begin
  insert into core.audit_head values (of_workspace, 0, decode('', 'hex')) on conflict do nothing;
  select * into head from core.audit_head where workspace = of_workspace for update;
  stamp := core.now();
  link := core.audit_hash(head.hash, of_workspace, (head.seq + 1)::text,
    to_char(stamp at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), what, who::text, about::text, more::text);
  insert into core.audit
    values (of_workspace, head.seq + 1, stamp, what, who, about, more, head.hash, link);
  update core.audit_head set seq = head.seq + 1, hash = link where workspace = of_workspace;
  return head.seq + 1;
end $$;

create function core.audit_refuses() returns trigger language plpgsql as $$
begin
  raise exception 'the audit log is append-only' using errcode = 'CS002';
end $$;
create trigger audit_refuses before update or delete or truncate on core.audit
  for each statement execute function core.audit_refuses();
