-- What people answer besides yes and no: changed arguments, and questions asked back.

alter table actions.revision
  add column edited_by text,
  -- Who chose where it goes, or more of it: somebody else must agree to this revision.
  add column authored_by text,
  -- What the edit changed, as [argument, before, after] in words.
  add column changes jsonb not null default '[]',
  -- The delivery that made it: handled again after a crash, it makes no second one.
  add column edit_delivery_id text unique;

create table actions.question (
  question_id text primary key,
  approval_id text not null references actions.approval,
  asked_by text not null,
  question text not null,
  asked_at timestamptz not null default core.now(),
  delivery_id text not null unique,
  answered_by text,
  answer text,
  answered_at timestamptz,
  answer_delivery_id text unique
);
create index question_of on actions.question (approval_id);
create index question_open on actions.question (asked_at) where answer is null;
