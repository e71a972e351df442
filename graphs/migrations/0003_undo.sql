-- A run that takes back what another run did, and runs that ended with something left for a person to put right.

alter table graphs.run add column undoes text generated always as (request -> 'undoes' ->> 'run_id') stored;
-- A run is undone by one other run at a time.
create unique index run_undone_by_one on graphs.run (undoes) where undoes is not null and finished_at is null;
create index run_undone_by on graphs.run (undoes, created_at desc) where undoes is not null;

alter table graphs.run drop constraint run_state_check;
alter table graphs.run add constraint run_state_check check (state in
  ('ready', 'waiting', 'done', 'refused', 'failed', 'stopped', 'needs_attention', 'needs_person'));
alter table graphs.run drop constraint run_check;
alter table graphs.run add constraint run_check check
  ((finished_at is not null) = (state in ('done', 'refused', 'failed', 'stopped', 'needs_person')));
