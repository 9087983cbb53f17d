/// The task types that have a health card even before their first execution: the product's own workload.
/// Any other task type appears by itself when it first reports.
pub const REGISTERED_TASK_TYPES: [&str; 15] = [
    "ingest_telegram_messages_task",
    "save_telegram_message",
    "embed_messages_batch_task",
    "embed_atoms_batch_task",
    "score_message_task",
    "score_unscored_messages_task",
    "extract_knowledge_from_messages_task",
    "extract_topic_and_atoms_task",
    "generate_topic_summary_task",
    "execute_analysis_run",
    "scheduled_knowledge_extraction_task",
    "scheduled_auto_approval_task",
    "scheduled_notification_alert_task",
    "scheduled_daily_digest_task",
    "cleanup_old_task_logs",
];

/// Stands for the name of an execution of which only the end has been reported so far: the TaskIQ *executed* event
/// carries no task name.
pub const UNKNOWN_TASK_NAME: &str = "(unknown task)";
