-- A stall is counted where its cause is known, and shared by all runs that one death may have been the fault of.

alter table graphs.run alter column stalls type double precision;
comment on column graphs.run.stalls is 'Errors, and shares of the deaths of workers, since the run last got any further.';
