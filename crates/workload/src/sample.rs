//! The sample data that comes with the program: a week of a made-up software team's chat, in the format of Telegram Desktop's exports.

use chrono::{DateTime, Utc};

/// The export.
pub(crate) static EXPORT: &[u8] = include_bytes!("../data/sample-chat.json");
/// When its last message was sent, in seconds since 1970.
const END: i64 = 1_763_978_400;

/// When its last message was sent.
pub(crate) fn end() -> DateTime<Utc> {
    DateTime::from_timestamp(END, 0).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telegram::export::{self, Input};

    #[tokio::test]
    async fn the_sample_is_an_export_of_a_week_that_ends_when_it_says() {
        let mut batches = export::read(Input::Bundled(EXPORT));
        let mut messages = Vec::new();
        while let Some(batch) = batches.recv().await {
            messages.extend(batch.unwrap().messages);
        }
        assert!(messages.len() >= 200);
        assert_eq!(messages.iter().map(|message| message.sent_at).max(), Some(end()));
        assert!(messages.iter().any(|message| message.reply_to.is_some()));
        assert!(messages.iter().any(|message| message.edited_at.is_some()));
    }
}
