-- Claims are what was said, word for word; facts are what they come to, and can be made anew from them. Words stand
-- only as ciphertext under the keys of those whose they are; subjects and objects are compared by their marks.
create table memory.claim (
  claim_id text primary key,
  scope_id bigint not null references memory.scope on delete cascade,
  subject_key bigint not null,
  relation text not null,
  object_key bigint not null,
  valid_from timestamptz not null,
  said_at timestamptz not null,
  ends boolean not null default false,
  trust text not null check (trust in ('operator', 'member', 'external')),
  said_by text not null,
  confidence real not null check (confidence between 0 and 1),
  subjects text[] not null,
  sealed jsonb not null,
  item_id bigint not null references memory.item on delete cascade,
  span_start int not null,
  span_end int not null,
  state text not null default 'counted' check (state in ('counted', 'open', 'accepted', 'refused')),
  against text,
  settled_by text,
  settled_at timestamptz,
  recorded_at timestamptz not null default core.now(),
  check (span_start >= 0 and span_end > span_start),
  unique (item_id, span_start, subject_key, relation, object_key, ends)
);
comment on column memory.claim.sealed is 'subject, object and the words that say so';
comment on column memory.claim.state is 'open waits for a person, accepted and refused are their word, counted needed nobody';
comment on column memory.claim.against is 'the claim of somebody more trusted that it would end';
create index claim_by_key on memory.claim (scope_id, subject_key, relation);
create index claim_by_person on memory.claim using gin (subjects);

-- Two times on every row: valid_from and valid_to say when it held, recorded_at and retired_at when we knew it so.
create table memory.fact (
  version bigint generated always as identity primary key,
  fact_id text not null,
  scope_id bigint not null references memory.scope on delete cascade,
  subject_key bigint not null,
  relation text not null,
  object_key bigint not null,
  valid_from timestamptz not null,
  valid_to timestamptz,
  recorded_at timestamptz not null default core.now(),
  retired_at timestamptz,
  trust text not null check (trust in ('operator', 'member', 'external')),
  confidence real not null,
  superseded_by text,
  subjects text[] not null,
  sealed jsonb not null,
  claims text[] not null,
  check (valid_to is null or valid_to > valid_from)
);
comment on column memory.fact.claims is 'the claims that say so';
create index fact_by_key on memory.fact (scope_id, subject_key, relation, valid_from);
create unique index fact_once on memory.fact (scope_id, subject_key, relation, object_key, valid_from)
  where retired_at is null;
create index fact_by_claim on memory.fact using gin (claims);
create index fact_by_id on memory.fact (fact_id);

do $$
declare
  fenced text;
begin
  foreach fenced in array array['claim', 'fact'] loop
    execute format('alter table memory.%s enable row level security', fenced);
    execute format('alter table memory.%s force row level security', fenced);
    execute format('create policy fence on memory.%s using ((select memory.unfenced())
       or scope_id = any ((select memory.fence())::bigint[]))', fenced);
  end loop;
end $$;
