-- The walk through the sample company: how far each person has come.
create table bot.demo (
  demo_id text primary key,
  workspace text not null,
  person text not null,
  walk int not null,
  step int not null default 0,
  pressed boolean not null default false,
  state text not null default 'under_way' check (state in ('under_way', 'ended', 'stopped')),
  begun_at timestamptz not null default core.now()
);
comment on column bot.demo.walk is 'how many walks were begun in this workspace before: each takes other orders';
comment on column bot.demo.pressed is 'whether the run of the step was started by its button, which works once';
create unique index demo_under_way on bot.demo (workspace, person) where state = 'under_way';
