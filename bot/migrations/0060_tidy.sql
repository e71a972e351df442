-- What was finished long ago is found without reading what was not.

create index delivery_finished on bot.delivery (handled_at) where handled_at is not null;
