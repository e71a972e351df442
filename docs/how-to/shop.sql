-- The shop's side of the `sql` connector: two functions that the shop writes, and one table that keeps keys.
-- Run it in the shop's own database and replace the bodies of the two functions by what fits its tables.

create schema if not exists countersign;

-- One row for each change that was ever asked for. It is written in the same transaction as the change itself, which
-- is what makes each change happen once: keep it as long as you keep orders.
create table if not exists countersign.effect (
  key text primary key,
  action text not null,
  args_sha256 text not null,
  reply jsonb,
  made_at timestamptz not null default now()
);

-- What is asked: order {order_id}, customer {customer_id}, product {product_id}, item {item_id}, open_returns {limit}.
-- Answer the JSON described in connect.md, or null where there is no such thing. It must change nothing.
create or replace function countersign.look(what text, query jsonb) returns jsonb stable language plpgsql as $$
begin
  return null;
end $$;

-- What is to change: order.update, order.restore, order.exchange or price.update, with the arguments that people
-- agreed to. Answer the JSON described in connect.md. To refuse, `raise exception` with a sentence for people: then
-- nothing of the transaction counts.
create or replace function countersign.act(action text, args jsonb) returns jsonb language plpgsql as $$
begin
  raise exception 'This shop does not do % yet.', action;
end $$;

-- The connector's own role may do this and nothing else:
--   create role countersign login password '…';
--   grant usage on schema countersign to countersign;
--   grant select, insert, update on countersign.effect to countersign;
-- and make both functions `security definer`, so that they, and not the role, reach the shop's tables.
