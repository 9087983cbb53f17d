drop table dead_letters;
drop table live_batches;
drop table live_stream;
