-- What was classified as what; the text itself stays where it came from, named by the run's request.
create table graphs.past_case (
  run_id text primary key references graphs.run on delete cascade,
  label text not null,
  classified_at timestamptz not null default core.now()
);

-- On which past cases a lesson was shown to people before they said that it is right.
create table graphs.trial (
  lesson_id text not null,
  place int not null,
  run_id text not null references graphs.run on delete cascade,
  said text not null,
  would_say text not null,
  primary key (lesson_id, place)
);
comment on column graphs.trial.said is 'the label it was given then';
comment on column graphs.trial.would_say is 'the label it would be given with the lesson';
