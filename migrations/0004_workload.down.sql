drop table digests;
drop table alerted_failures;
drop table alerts;
drop table ingest_runs;
drop table telegram_offsets;
drop table messages;
