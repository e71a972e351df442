-- Every few seconds it is looked what has lapsed: that must not read the whole ledger.
create index intent_done on actions.intent (action, ended_at) where state = 'done' and compensates is null;
create index intent_by_compensated on actions.intent (compensates) where compensates is not null;
