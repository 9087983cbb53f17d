//! What each task type does: a file each, with its `Params` and `run`. They know nothing of the queue's workings or of monitoring.

pub(crate) mod cleanup_old_task_logs;
pub(crate) mod embed_atoms_batch;
pub(crate) mod embed_messages_batch;
pub(crate) mod execute_analysis_run;
pub(crate) mod extract_knowledge_from_messages;
pub(crate) mod extract_topic_and_atoms;
pub(crate) mod generate_topic_summary;
pub(crate) mod ingest_telegram_messages;
pub(crate) mod save_telegram_message;
pub(crate) mod scheduled_auto_approval;
pub(crate) mod scheduled_daily_digest;
pub(crate) mod scheduled_knowledge_extraction;
pub(crate) mod scheduled_notification_alert;
pub(crate) mod score_message;
pub(crate) mod score_unscored_messages;
