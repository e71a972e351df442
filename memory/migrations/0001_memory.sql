-- What the team remembers. Texts stand here only as ciphertext under the keys of those whose they are, and words only
-- as marks made with a key that is not in the database; vectors and counts are what the search needs in the clear.

-- Which scopes this transaction may touch, as '{1,2,3}' or '*': the second fence, behind every query's own condition.
-- A transaction that says nothing touches nothing.
create function memory.fence() returns bigint[] language sql stable as $$
  select case when coalesce(current_setting('memory.scopes', true), '') in ('', '*') then '{}'::bigint[]
    else current_setting('memory.scopes', true)::bigint[] end
$$;
create function memory.unfenced() returns boolean language sql stable as $$
  select coalesce(current_setting('memory.scopes', true), '') = '*'
$$;

-- Whose memory it is. Counts are the scope's own, so that nobody learns from one channel's ranking what another says.
create table memory.scope (
  scope_id bigint generated always as identity primary key,
  workspace text not null,
  kind text not null check (kind in ('person', 'private', 'channel', 'workspace')),
  name text not null default '',
  title text not null default '',
  learns boolean not null default false,
  members_at timestamptz,
  removed_at timestamptz,
  version bigint not null default 0,
  items bigint not null default 0,
  length bigint not null default 0,
  conversations bigint not null default 0,
  unique (workspace, name),
  check ((kind = 'workspace') = (name = ''))
);
comment on column memory.scope.title is 'what people call the channel';
comment on column memory.scope.learns is 'somebody has said that the team may remember what is said there';
comment on column memory.scope.members_at is 'when it was last known who is in it; a private scope of which that is long ago shows nobody anything';
comment on column memory.scope.version is 'rises with everything that changes what is found there';
comment on column memory.scope.length is 'the words of all its items together';

create table memory.scope_member (
  scope_id bigint not null references memory.scope on delete cascade,
  user_id text not null,
  primary key (scope_id, user_id)
);
create index scope_member_by_user on memory.scope_member (user_id);

-- What people are called, so that a question about somebody finds what they said.
create table memory.person (
  workspace text not null,
  user_id text not null,
  names text[] not null,
  is_guest boolean not null default false,
  primary key (workspace, user_id)
);
create index person_by_name on memory.person using gin (names);

-- The scopes whose memory this person may see now. A guest sees only where they are a member.
create function memory.visible_to(of_workspace text, person text, is_guest boolean)
returns setof memory.scope language sql stable as $$
  select scope.* from memory.scope scope
  where scope.workspace = of_workspace and scope.removed_at is null
    and case scope.kind
      when 'person' then scope.name = person
      -- Who is in it was asked lately, or nobody can tell.
      when 'private' then scope.members_at > core.now() - interval '15 minutes' and exists (
        select 1 from memory.scope_member member where member.scope_id = scope.scope_id and member.user_id = person)
      when 'channel' then not is_guest or exists (
        select 1 from memory.scope_member member where member.scope_id = scope.scope_id and member.user_id = person)
      else not is_guest
    end
$$;

-- A thread, or what was said in a channel without a long silence in between.
create table memory.conversation (
  conversation_id bigint generated always as identity primary key,
  scope_id bigint not null references memory.scope on delete cascade,
  name text not null,
  is_thread boolean not null,
  items int not null default 0,
  length bigint not null default 0,
  began_at timestamptz not null,
  last_at timestamptz not null,
  unique (scope_id, name)
);
create index conversation_by_time on memory.conversation (scope_id, last_at) where not is_thread;

-- Append-only: what was said, and that it was edited or deleted, in the order in which word of it came.
create table memory.episode (
  episode_id bigint generated always as identity primary key,
  scope_id bigint not null references memory.scope on delete cascade,
  source text not null,
  kind text not null check (kind in ('said', 'edited', 'deleted')),
  author text not null,
  conversation text,
  said_at timestamptz not null,
  happened_at timestamptz not null,
  recorded_at timestamptz not null default core.now(),
  trust text not null check (trust in ('operator', 'member', 'external')),
  subjects text[] not null,
  sealed jsonb,
  unique (scope_id, source, kind, happened_at)
);
create index episode_by_subject on memory.episode using gin (subjects);
comment on column memory.episode.sealed is 'the text under the keys of its subjects; null for a deletion';

-- What can be found. An episode's text stands in the log; every other tier's stands here.
create table memory.item (
  item_id bigint generated always as identity primary key,
  scope_id bigint not null references memory.scope on delete cascade,
  tier text not null check (tier in ('episode', 'fact', 'chronicle', 'playbook')),
  source text not null,
  episode_id bigint references memory.episode,
  sealed jsonb,
  author text not null,
  subjects text[] not null,
  conversation_id bigint references memory.conversation,
  said_at timestamptz not null,
  recorded_at timestamptz not null default core.now(),
  trust text not null check (trust in ('operator', 'member', 'external')),
  valid_from timestamptz not null,
  valid_to timestamptz,
  expires_at timestamptz,
  source_scopes bigint[] not null default '{}',
  terms bigint[] not null default '{}',
  length int not null default 0,
  indexed boolean not null default false,
  text_version int not null default 1,
  unique (scope_id, tier, source),
  check ((tier = 'episode') = (episode_id is not null)),
  check ((episode_id is null) = (sealed is not null))
);
create index item_by_conversation on memory.item (conversation_id, said_at, item_id);
create index item_by_time on memory.item (scope_id, said_at desc, item_id desc);
create index item_by_subject on memory.item using gin (subjects);
create index item_by_episode on memory.item (episode_id);
create index item_ended on memory.item (scope_id, valid_to) where valid_to is not null;
comment on column memory.item.source_scopes is 'the scopes of everything it was made of: it shows only where all of them do';
comment on column memory.item.terms is 'its words as marks, so that its postings are found when they must go';
comment on column memory.item.indexed is 'false once retention has taken it out of the hot index: no postings, no vectors';

-- What a derived item was made of, so that it can be made anew or removed with it.
create table memory.item_source (
  item_id bigint not null references memory.item on delete cascade,
  source_item_id bigint not null references memory.item on delete cascade,
  primary key (item_id, source_item_id)
);
create index item_source_by_source on memory.item_source (source_item_id);

-- One row for each word of each item; all that BM25 needs of one word lies side by side.
create table memory.posting (
  scope_id bigint not null,
  term bigint not null,
  item_id bigint not null,
  conversation_id bigint,
  tf smallint not null,
  length int not null,
  primary key (scope_id, term, item_id) include (conversation_id, tf, length)
);

-- The models that made vectors; one of them makes them now, and a change of it owes every item a new one.
create table memory.embedding_model (
  model_id int generated always as identity primary key,
  name text not null unique,
  dimension int not null,
  is_current boolean not null default false,
  since timestamptz not null default core.now()
);
create unique index embedding_model_one_current on memory.embedding_model (is_current) where is_current;

-- Two widths, so that nothing is created while the product runs; the model stands on every row. A shorter vector is
-- filled up with zeros, which changes no cosine. Parts by scope keep each graph small, and a search within one scope
-- reads one of them.
create table memory.vector_384 (
  scope_id bigint not null,
  item_id bigint not null,
  model_id int not null,
  text_version int not null,
  embedding halfvec(384) storage plain not null,
  primary key (scope_id, model_id, item_id)
) partition by hash (scope_id);
create table memory.vector_1536 (
  scope_id bigint not null,
  item_id bigint not null,
  model_id int not null,
  text_version int not null,
  embedding halfvec(1536) storage plain not null,
  primary key (scope_id, model_id, item_id)
);
do $$
begin
  for part in 0..7 loop
    execute format('create table memory.vector_384_%s partition of memory.vector_384
       for values with (modulus 8, remainder %s)', part, part);
  end loop;
end $$;
create index on memory.vector_384 using hnsw (embedding halfvec_cosine_ops) with (m = 16, ef_construction = 64);
create index on memory.vector_1536 using hnsw (embedding halfvec_cosine_ops) with (m = 16, ef_construction = 64);

-- What waits for its vector: written with the item, gone with its vector.
create table memory.unembedded (
  item_id bigint primary key references memory.item on delete cascade,
  scope_id bigint not null,
  since timestamptz not null default core.now(),
  attempts int not null default 0,
  next_at timestamptz not null default core.now()
);
create index unembedded_due on memory.unembedded (next_at, item_id desc);

-- What was recalled for whom, which items, and what came of it: the ground of hit rates and of the echo guard.
create table memory.recall_log (
  recall_id text primary key,
  workspace text not null,
  asker text not null,
  purpose text not null,
  run_id text,
  at timestamptz not null default core.now(),
  asked int not null,
  given int not null,
  tokens int not null,
  milliseconds jsonb not null default '{}'
);
create index recall_log_by_time on memory.recall_log (workspace, at);
create index recall_log_by_run on memory.recall_log (run_id) where run_id is not null;

create table memory.recall_item (
  recall_id text not null references memory.recall_log on delete cascade,
  item_id bigint not null references memory.item on delete cascade,
  rank int not null,
  score real not null,
  why jsonb not null,
  cited_at timestamptz,
  primary key (recall_id, item_id)
);
create index recall_item_by_item on memory.recall_item (item_id);

create table memory.feedback (
  recall_id text not null references memory.recall_log on delete cascade,
  user_id text not null,
  useful boolean not null,
  at timestamptz not null default core.now(),
  primary key (recall_id, user_id)
);

-- Parts have the fence of their own: somebody might read one by its name.
do $$
declare
  fenced text;
begin
  for fenced in
    select relname from pg_class where relnamespace = 'memory'::regnamespace and relkind in ('r', 'p')
      and (relname in ('episode', 'conversation', 'posting') or relname like 'vector\_%')
  loop
    execute format('alter table memory.%I enable row level security', fenced);
    execute format('alter table memory.%I force row level security', fenced);
    execute format('create policy fence on memory.%I using ((select memory.unfenced())
       or scope_id = any ((select memory.fence())::bigint[]))', fenced);
  end loop;
end $$;
alter table memory.item enable row level security;
alter table memory.item force row level security;
create policy fence on memory.item using (
  (select memory.unfenced())
  or (scope_id = any ((select memory.fence())::bigint[]) and source_scopes <@ (select memory.fence())::bigint[])
);
