-- What calls cost that are not listed one by one any more: a digest still tells of them.
create table graphs.model_day (
  workspace text not null,
  workflow text not null,
  day date not null,
  micro bigint not null,
  tokens bigint not null,
  primary key (workspace, workflow, day)
);
