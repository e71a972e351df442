-- What reached us, stored under its unique id before it is acknowledged.

create table bot.delivery (
  delivery_id text primary key,
  place bigint generated always as identity,
  lane text not null,
  kind text not null check (kind in ('event', 'command', 'click', 'view')),
  payload jsonb not null,
  state text not null default 'received' check (state in ('received', 'handled', 'failed')),
  attempts int not null default 0,
  claimed_until timestamptz,
  error text,
  received_at timestamptz not null default core.now(),
  handled_at timestamptz
);
create index delivery_open on bot.delivery (lane, place) where state = 'received';

create function bot.delivery_rings() returns trigger language plpgsql as $$
begin
  perform pg_notify('bot_delivery', '');
  return null;
end $$;
create trigger delivery_rings after insert on bot.delivery for each statement execute function bot.delivery_rings();
