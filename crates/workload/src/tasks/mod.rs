//! What each task type does: a file each, with its `Params` and `run`. They know nothing of the queue's workings or of monitoring.

pub(crate) mod cleanup_old_task_logs;
pub(crate) mod execute_analysis_run;
pub(crate) mod ingest_telegram_messages;
pub(crate) mod save_telegram_message;
pub(crate) mod scheduled_daily_digest;
pub(crate) mod scheduled_notification_alert;
pub(crate) mod score_message;
pub(crate) mod score_unscored_messages;
