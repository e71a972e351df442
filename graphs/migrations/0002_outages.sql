-- An advance that the database itself cut short says nothing against the run: it is not counted as a stall.

alter table graphs.run add column begun_under timestamptz;
comment on column graphs.run.begun_under is 'When the server started under which the run was last begun.';
