-- What an effect will change, as its action saw it in the trusted records when it was first wished for.

alter table actions.revision add column preview jsonb;
comment on column actions.revision.preview is 'Each change as [label, before, after], or why that could not be told.';
