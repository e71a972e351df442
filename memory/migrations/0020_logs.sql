-- Logs end: what was recalled and done is kept for as long as the installation says. What is worth knowing of it for
-- longer, that an item proved useful, is counted with the item.
alter table memory.item add column uses int not null default 0;
comment on column memory.item.uses is 'confirmed uses whose recalls are not in the log any more';
create index recall_log_by_age on memory.recall_log (at);
create index distil_round_by_age on memory.distil_round (at);
