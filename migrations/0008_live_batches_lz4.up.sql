-- Compressing live messages with pglz was the largest single cost of a full batch in Postgres (10 % of its time); lz4 takes a third of
-- that. A Postgres that was built without it keeps what it has.
do $$
begin
    execute 'alter table live_batches alter column messages set compression lz4';
exception
    when feature_not_supported or syntax_error then null;
end
$$;
