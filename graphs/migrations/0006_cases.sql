-- What alerts come to: which lines of a sensor's log were read by which run, and the cases that they made.

create table graphs.alert_batch (
  workspace text not null,
  sensor text not null,
  position bigint not null check (position >= 0),
  until bigint not null check (until > position),
  run_id text not null,
  alerts bigint not null,
  occurrences bigint not null,
  unreadable bigint not null,
  read_at timestamptz not null default core.now(),
  -- Every line is read by one run.
  primary key (workspace, sensor, position)
);

create table graphs.alert_case (
  case_id text primary key,
  workspace text not null,
  case_key text not null,
  is_open boolean not null default true,
  channel text not null,
  card_id text not null,
  severity text not null check (severity in ('low', 'medium', 'high', 'critical')),
  data jsonb not null,
  last_at timestamptz not null,
  read_by text not null,
  containments int not null default 0,
  containment_run text not null default '',
  created_at timestamptz not null default core.now(),
  updated_at timestamptz not null default core.now()
);
create unique index alert_case_open_once on graphs.alert_case (workspace, case_key) where is_open;
create index alert_case_read_by on graphs.alert_case (read_by);
