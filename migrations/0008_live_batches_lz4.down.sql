alter table live_batches alter column messages set compression default;
