-- Dry runs: what would be sent is written down, and nothing of it can ever be.

alter table actions.intent add column dry boolean not null default false;
alter table actions.intent add column rehearsal jsonb;
comment on column actions.intent.rehearsal is 'The verdict, and the request that would be sent: method, path, body, sha256.';

alter table actions.intent drop constraint intent_state_check;
alter table actions.intent add constraint intent_state_check check (state in
  ('prepared', 'awaiting', 'executing', 'in_doubt', 'done', 'failed', 'refused', 'cancelled', 'compensated',
   'rehearsed'));
alter table actions.intent add constraint intent_rehearsed_is_written_down check
  ((state = 'rehearsed') = (rehearsal is not null));
-- The last fence inside the database: a dry wish neither waits for anybody nor is sent.
alter table actions.intent add constraint intent_dry_stays_dry check
  (case when dry then state in ('prepared', 'rehearsed', 'refused', 'cancelled') else state <> 'rehearsed' end);
