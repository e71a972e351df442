-- What people wrote stands in the audit log only as ciphertext under a key of theirs. The key is kept here, wrapped by
-- one that lives outside the database; without the wrapped key the text is gone and the chain still verifies.
create table core.subject_key (
  key_id text primary key,
  workspace text not null,
  subject text not null,
  wrapped_by text not null,
  wrapped bytea,
  made_at timestamptz not null default core.now(),
  destroyed_at timestamptz,
  check ((wrapped is null) = (destroyed_at is not null))
);
-- At most one key of a person is in use under each wrapping key.
create unique index subject_key_in_use on core.subject_key (workspace, subject, wrapped_by) where wrapped is not null;

create function core.audit_head_locked(of_workspace text) returns core.audit_head
language plpgsql security definer set search_path = pg_catalog as $$
declare
  head core.audit_head;
begin
  select * into head from core.audit_head where workspace = of_workspace for update;
  if not found then
    insert into core.audit_head values (of_workspace, 0, decode('', 'hex')) on conflict do nothing;
    select * into head from core.audit_head where workspace = of_workspace for update;
  end if;
  return head;
end $$;

-- As before, and every hundredth row rings, so that it is sealed outside the database at once.
create or replace function core.audit_append(of_workspace text, what text, who jsonb, about jsonb, more jsonb)
returns bigint language plpgsql security definer set search_path = pg_catalog as $$
declare
  head core.audit_head;
  stamp timestamptz;
  link bytea;
begin
  head := core.audit_head_locked(of_workspace);
  stamp := core.now();
  link := core.audit_hash(head.hash, of_workspace, (head.seq + 1)::text,
    to_char(stamp at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), what, who::text, about::text, more::text);
  insert into core.audit
    values (of_workspace, head.seq + 1, stamp, what, who, about, more, head.hash, link);
  update core.audit_head set seq = head.seq + 1, hash = link where workspace = of_workspace;
  if (head.seq + 1) % 100 = 0 then
    perform pg_notify('core_audit', of_workspace);
  end if;
  return head.seq + 1;
end $$;

-- The head first, as with every append: whoever holds a key's row never waits for somebody who waits for it.
create function core.subject_key_keep(of_workspace text, person text, by_key text, new_key text, new_wrapped bytea)
returns core.subject_key language plpgsql security definer set search_path = pg_catalog as $$
declare
  kept core.subject_key;
begin
  perform core.audit_head_locked(of_workspace);
  select * into kept from core.subject_key
    where workspace = of_workspace and subject = person and wrapped_by = by_key and wrapped is not null;
  if not found then
    insert into core.subject_key (key_id, workspace, subject, wrapped_by, wrapped)
      values (new_key, of_workspace, person, by_key, new_wrapped) returning * into kept;
  end if;
  return kept;
end $$;

-- Destroying keys and the event that tells of it are one statement, so neither can be without the other.
create function core.subject_erase(of_workspace text, person text, who jsonb)
returns int language plpgsql security definer set search_path = pg_catalog as $$
declare
  many int;
begin
  perform core.audit_head_locked(of_workspace);
  update core.subject_key set wrapped = null, destroyed_at = core.now()
    where workspace = of_workspace and subject = person and wrapped is not null;
  get diagnostics many = row_count;
  perform core.audit_append(of_workspace, 'subject.erased', who, jsonb_build_object('user_id', person),
    jsonb_build_object('keys', many));
  return many;
end $$;
