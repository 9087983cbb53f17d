//! The forty task types of a data set.

use rand::{RngExt, rngs::SmallRng};
use rand_distr::{LogNormal, StandardNormal};

/// A task type.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) queue: &'static str,
    /// Half of the runs take less, in milliseconds.
    median_ms: f64,
    /// The sigma of the logarithm of run times.
    spread: f64,
    shape: Shape,
}

/// What it is called with.
#[derive(Debug, Clone, Copy)]
enum Shape {
    Message,
    Messages,
    Channel,
    Report,
    Nothing,
}
use Shape::{Channel, Message, Messages, Nothing, Report};

const fn kind(name: &'static str, queue: &'static str, median_ms: f64, spread: f64, shape: Shape) -> Kind {
    Kind { name, queue, median_ms, spread, shape }
}

/// The most frequent first: the n-th comes with a weight of 1/n to the power of [`SKEW`].
pub(crate) const KINDS: [Kind; 40] = [
    kind("score_message_task", "default", 85.0, 0.6, Message),
    kind("save_telegram_message", "telegram", 14.0, 0.5, Message),
    kind("embed_messages_batch_task", "embeddings", 640.0, 0.5, Messages),
    kind("send_notification_task", "mail", 180.0, 0.9, Message),
    kind("classify_message_task", "llm", 1400.0, 0.7, Message),
    kind("extract_knowledge_from_messages_task", "llm", 5200.0, 0.6, Messages),
    kind("update_search_index", "default", 33.0, 0.8, Message),
    kind("ingest_telegram_messages_task", "telegram", 900.0, 1.0, Channel),
    kind("resize_attachment", "media", 410.0, 0.9, Message),
    kind("deliver_webhook", "webhooks", 240.0, 1.1, Message),
    kind("detect_language_task", "default", 9.0, 0.4, Message),
    kind("embed_atoms_batch_task", "embeddings", 720.0, 0.5, Messages),
    kind("extract_topic_and_atoms_task", "llm", 3800.0, 0.6, Messages),
    kind("refresh_channel_statistics", "reports", 2300.0, 0.7, Channel),
    kind("score_unscored_messages_task", "default", 450.0, 0.8, Nothing),
    kind("translate_message_task", "llm", 1900.0, 0.6, Message),
    kind("transcribe_voice_message", "media", 8200.0, 0.9, Message),
    kind("generate_topic_summary_task", "llm", 4100.0, 0.5, Messages),
    kind("sync_contacts", "telegram", 1500.0, 0.8, Channel),
    kind("invalidate_cache", "default", 3.0, 0.7, Nothing),
    kind("check_spam_task", "default", 52.0, 0.6, Message),
    kind("scheduled_notification_alert_task", "default", 66.0, 0.7, Nothing),
    kind("execute_analysis_run", "llm", 48_000.0, 0.8, Report),
    kind("export_messages_csv", "reports", 12_500.0, 1.0, Report),
    kind("scheduled_knowledge_extraction_task", "llm", 310.0, 0.5, Nothing),
    kind("scheduled_auto_approval_task", "default", 24.0, 0.5, Nothing),
    kind("rotate_api_token", "default", 120.0, 0.4, Channel),
    kind("thumbnail_video", "media", 6100.0, 0.8, Message),
    kind("reconcile_billing", "billing", 3300.0, 0.6, Report),
    kind("charge_subscription", "billing", 870.0, 0.6, Report),
    kind("send_weekly_newsletter", "mail", 950.0, 0.7, Report),
    kind("archive_channel", "reports", 21_000.0, 0.9, Channel),
    kind("merge_duplicate_atoms", "default", 540.0, 0.7, Messages),
    kind("rebuild_vector_index", "embeddings", 65_000.0, 0.5, Nothing),
    kind("scheduled_daily_digest_task", "reports", 4300.0, 0.4, Report),
    kind("import_chat_export", "telegram", 95_000.0, 1.0, Channel),
    kind("vacuum_embeddings", "embeddings", 15_000.0, 0.6, Nothing),
    kind("cleanup_old_task_logs", "default", 2600.0, 0.8, Nothing),
    kind("verify_backups", "reports", 33_000.0, 0.4, Nothing),
    kind("renew_certificates", "default", 2100.0, 0.3, Nothing),
];

const SKEW: f64 = 1.2;
pub(crate) const CHATS: [&str; 8] = ["general", "backend", "frontend", "support", "incidents", "releases", "random", "hiring"];

/// How frequent each kind is, in the order of [`KINDS`].
pub(crate) fn weights() -> impl Iterator<Item = f64> {
    (1..=KINDS.len()).map(|rank| (rank as f64).powf(-SKEW))
}

impl Kind {
    /// A run time in whole milliseconds.
    pub(crate) fn duration_ms(&self, rng: &mut SmallRng) -> i64 {
        let deviation: f64 = rng.sample(StandardNormal);
        (self.median_ms * (self.spread * deviation).exp()).round() as i64
    }

    /// What an execution is called with, as a JSON object; none for some.
    pub(crate) fn params(&self, rng: &mut SmallRng, messages: u64) -> Option<String> {
        let message = rng.random_range(1..=messages);
        let chat = CHATS[rng.random_range(0..CHATS.len())];
        let number: u32 = rng.random_range(1..500);
        match self.shape {
            Message => {
                let urgent = rng.random_bool(0.1);
                Some(format!(
                    r#"{{"message_id": {message}, "chat": "{chat}", "flags": {{"urgent": {urgent}, "dry_run": false}}}}"#
                ))
            }
            Messages => Some(format!(
                r#"{{"message_ids": [{message}, {}, {}], "chat": "{chat}", "provider_id": "openai"}}"#,
                message + 1,
                message + 3
            )),
            Channel => {
                Some(format!(r#"{{"chat": "{chat}", "limit": {number}, "flags": {{"full": {}}}}}"#, number.is_multiple_of(9)))
            }
            Report => Some(format!(
                r#"{{"account_id": {number}, "format": "csv", "flags": {{"notify": {}}}}}"#,
                number.is_multiple_of(2)
            )),
            Nothing => None,
        }
    }
}

/// How long executions wait, in milliseconds: mostly a moment, sometimes minutes.
pub(crate) fn waits() -> Result<LogNormal<f64>, rand_distr::NormalError> {
    LogNormal::new(120_f64.ln(), 1.6)
}
