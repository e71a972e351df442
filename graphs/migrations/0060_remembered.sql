-- What a run showed of memory on its card: names only, so that nothing that is forgotten stays with it.
alter table graphs.run add column remembered jsonb not null default '{}';
comment on column graphs.run.remembered is 'the recall, and of each item shown its id and what of the run it names';
