-- Dry runs, and the one live run that each may become.

alter table graphs.run add column dry boolean not null
  generated always as (coalesce(request -> 'dry', 'false') = 'true'::jsonb) stored;
alter table graphs.run add column promotes text generated always as (request ->> 'promotes') stored;
alter table graphs.run add column promoted_to text;
-- A dry run is done for real once.
create unique index run_promoted_once on graphs.run (promotes) where promotes is not null;
alter table graphs.run add constraint run_promoted_is_dry check (dry or promoted_to is null);
