-- What caps have used up, reserved where an attempt begins; and the kill switch, read there too.

-- One row for each thing a limit counts. `slots` maps the second at which a slot began to [minor units, effects].
create table actions.allowance (
  workspace text not null,
  limit_id text not null,
  subject text not null,
  slots jsonb not null default '{}' check (jsonb_typeof(slots) = 'object'),
  primary key (workspace, limit_id, subject)
);

create table actions.reservation (
  attempt_id text not null references actions.attempt,
  workspace text not null,
  limit_id text not null,
  subject text not null,
  slot bigint not null,
  minor bigint not null check (minor >= 0),
  exceeds boolean not null,
  state text not null default 'held' check (state in ('held', 'kept', 'released')),
  primary key (attempt_id, limit_id)
);

-- What slots from `oldest` on have used; measure 0: minor units, 1: effects.
create function actions.used(slots jsonb, oldest bigint, measure int) returns bigint language sql immutable as $$
  select coalesce(sum((value ->> measure)::bigint), 0)::bigint from jsonb_each(slots) where key::bigint >= oldest
$$;

-- The slots from `oldest` on, with so much more used in one of them.
create function actions.with_use(slots jsonb, slot bigint, oldest bigint, minor bigint, effects int)
returns jsonb language sql immutable as $$
  select coalesce((select jsonb_object_agg(key, value) from jsonb_each(slots) where key::bigint >= oldest), '{}')
    || jsonb_build_object(slot::text, jsonb_build_array(
         coalesce((slots -> slot::text ->> 0)::bigint, 0) + minor,
         coalesce((slots -> slot::text ->> 1)::bigint, 0) + effects))
$$;

-- Each time a cap that denies was run into.
create table actions.breach (
  workspace text not null,
  limit_id text not null,
  action text not null,
  intent_id text not null references actions.intent,
  at timestamptz not null default core.now(),
  primary key (intent_id, limit_id)
);
create index breach_recent on actions.breach (workspace, action, at);
create index attempt_in_doubt on actions.attempt (started_at) where state = 'in_doubt';

-- What is paused, and was. A pause is in force until it is lifted.
create table actions.pause (
  pause_id text primary key,
  workspace text not null,
  kind text not null check (kind in ('workspace', 'workflow', 'action', 'connector')),
  name text not null,
  cause text not null check (cause in ('person', 'cli', 'audit', 'cap', 'in_doubt')),
  because text not null default '',
  paused_by text,
  paused_at timestamptz not null default core.now(),
  lifted_by text,
  lifted_at timestamptz,
  check ((kind = 'workspace') = (name = '')),
  check ((lifted_at is null) = (lifted_by is null))
);
create unique index pause_in_force_once on actions.pause (workspace, kind, name) where lifted_at is null;
create index pause_history on actions.pause (workspace, kind, name, lifted_at);

-- The runs that met the switch, each to be woken when that pause is lifted.
create table actions.held (
  run_id text primary key,
  pause_id text not null references actions.pause
);
create index held_by_pause on actions.held (pause_id);

-- Attempts share this lock from before they look until they commit; a pause takes it alone. So a pause waits for
-- every attempt that did not see it, and no attempt commits after it without having seen it.
create function actions.switch_key(of_workspace text) returns bigint language sql immutable as $$
  select hashtextextended('countersign.switch:' || of_workspace, 0)
$$;

-- Whether a pause is about this effect; one of a kind that nobody here knows is about everything.
create function actions.pause_covers(kind text, name text, of_workflow text, of_action text, of_connector text)
returns boolean language sql immutable as $$
  select coalesce(case kind
    when 'workflow' then name = of_workflow
    when 'connector' then name = of_connector
    when 'action' then name = of_action or (right(name, 1) = '*' and starts_with(of_action, left(name, -1)))
    else true end, true)
$$;

-- The widest pause in force over an intent, or null.
create function actions.pause_over(of_intent text) returns jsonb language sql stable as $$
  select to_jsonb(p) from actions.pause p join actions.intent i using (workspace)
  where i.intent_id = of_intent and p.lifted_at is null
    and actions.pause_covers(p.kind, p.name, i.workflow, i.action, i.connector)
  order by array_position(array['workspace', 'connector', 'action', 'workflow'], p.kind), p.paused_at limit 1
$$;
