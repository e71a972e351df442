-- What ended long ago is found without reading what did not.

create index outbox_ended on core.outbox (ended_at) where ended_at is not null and receiver_key is null;
