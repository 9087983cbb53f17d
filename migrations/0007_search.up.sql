-- What the search looks through, and indexes of its trigrams, which find any text of three characters or more.
--
-- Errors are indexed as they are written: three rows of a hundred have one. Params and task ids are in every row, and indexing them at once would cost
-- the recorder more than the row itself; so each day's partition gets that index when the day is over (store/search_index.rs), and what has none
-- yet is read.

-- A migration of a large log may take its time.
set local statement_timeout = 0;

-- Null where there is no error, so that the index below leaves the row out.
create function taskscope_error_text(error_type text, message text, traceback text) returns text
    language sql immutable parallel safe as $$
    select case when error_type is not null or message is not null or traceback is not null
        then coalesce(error_type, '') || E'\n' || coalesce(message, '') || E'\n' || coalesce(traceback, '') end
$$;

create function taskscope_task_text(task_id text, params jsonb) returns text
    language sql immutable parallel safe as $$
    select coalesce(task_id, '') || E'\n' || coalesce(params::text, '')
$$;

-- Text in errors. Its columns change only when an execution fails, so that the other updates stay HOT. What is not sorted in yet every search reads
-- whole, and one writer sorts it in: so there is never much of it (kB).
create index task_execution_logs_error_text on task_execution_logs
    using gin (taskscope_error_text(error_type, error_message, error_traceback) gin_trgm_ops)
    with (gin_pending_list_limit = 512)
    where taskscope_error_text(error_type, error_message, error_traceback) is not null;
