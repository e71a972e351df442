-- Approvals offered together: what one card listed, exactly as it was listed.

create table actions.batch (
  batch_id text primary key,
  -- batch: in the approvals channel; plan: one run's steps; own: one person's list, for their eyes only.
  kind text not null check (kind in ('batch', 'plan', 'own')),
  workspace text not null,
  run_id text,
  person text,
  made_at timestamptz not null default core.now(),
  -- How its items stood when its card was last owed a rendering; null once nothing about them changes any more.
  shown text default ''
);
create index batch_open on actions.batch (made_at) where shown is not null;

create table actions.batch_item (
  batch_id text not null references actions.batch,
  place int not null,
  approval_id text not null references actions.approval,
  revision int not null,
  digest16 text not null,
  -- True on a card that everybody of a channel sees: there an approval is listed once.
  public boolean not null,
  primary key (batch_id, place),
  unique (batch_id, approval_id)
);
create unique index batch_item_once on actions.batch_item (approval_id) where public;
