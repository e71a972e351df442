-- What people taught stands among the rules, as a kind of its own: it counts only once it was shown on past cases.
alter table memory.rule drop constraint rule_kind_check;
alter table memory.rule add constraint rule_kind_check check (kind in ('style', 'practice', 'lesson'));
