-- When it was last asked whether somebody whose words are remembered is still there.
alter table memory.person add column asked_at timestamptz;
alter table memory.person add column left_at timestamptz;
