use chrono::{DateTime, NaiveDateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

use super::{clean, export::Chat, external_id};
use crate::messages::Incoming;

/// A message of an export.
#[derive(Debug, Deserialize)]
pub(super) struct ExportedMessage {
    id: i64,
    /// `message`, or `service`.
    r#type: String,
    date_unixtime: Option<String>,
    /// Older exports have only this, in the time of the machine that made them.
    date: Option<NaiveDateTime>,
    edited_unixtime: Option<String>,
    from: Option<String>,
    #[serde(default)]
    text: Text,
    reply_to_message_id: Option<i64>,
    forwarded_from: Option<String>,
    media_type: Option<String>,
    sticker_emoji: Option<String>,
    photo: Option<Value>,
    file: Option<Value>,
    poll: Option<Poll>,
    location_information: Option<Value>,
}

/// A text: plain, or in parts where it has formats and links.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Text {
    Plain(String),
    Parts(Vec<Part>),
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Part {
    Plain(String),
    Entity { text: String },
}

#[derive(Debug, Deserialize)]
struct Poll {
    question: String,
}

impl Default for Text {
    fn default() -> Self {
        Self::Plain(String::new())
    }
}

impl Text {
    fn join(&self) -> String {
        match self {
            Self::Plain(text) => text.clone(),
            Self::Parts(parts) => {
                let texts = parts.iter().map(|part| match part {
                    Part::Plain(text) | Part::Entity { text } => text.as_str(),
                });
                texts.collect()
            }
        }
    }
}

impl ExportedMessage {
    /// None for service messages, and where there is neither text nor media.
    pub(super) fn into_incoming(self, chat: &Chat) -> Option<Incoming> {
        if self.r#type != "message" {
            return None;
        }
        let (chat_id, content) = (chat.bot_api_id()?, self.content()?);
        let sent_at = unix_time(self.date_unixtime.as_deref()).or_else(|| self.date.map(|date| date.and_utc()))?;
        Some(Incoming {
            external_id: external_id(chat_id, self.id),
            channel: chat.name.as_deref().map(clean),
            author: self.from.as_deref().map_or_else(|| "Deleted Account".to_owned(), clean),
            content: clean(&content),
            sent_at,
            edited_at: unix_time(self.edited_unixtime.as_deref()),
            reply_to: self.reply_to_message_id.map(|id| external_id(chat_id, id)),
            forwarded_from: self.forwarded_from.as_deref().map(clean),
        })
    }

    fn content(&self) -> Option<String> {
        let text = self.text.join();
        if !text.trim().is_empty() {
            return Some(text);
        }
        if let Some(poll) = &self.poll {
            return Some(format!("[poll] {}", poll.question));
        }
        let kind = match self.media_type.as_deref() {
            Some("sticker") => {
                return Some(format!("[sticker] {}", self.sticker_emoji.as_deref().unwrap_or_default()).trim().to_owned());
            }
            Some("voice_message") => "voice message",
            Some("video_message") => "video message",
            Some("video_file") => "video",
            Some("audio_file") => "audio",
            Some("animation") => "animation",
            _ if self.photo.is_some() => "photo",
            _ if self.file.is_some() => "file",
            _ if self.location_information.is_some() => "location",
            _ => return None,
        };
        Some(format!("[{kind}]"))
    }
}

fn unix_time(text: Option<&str>) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(text?.parse().ok()?, 0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(message: Value) -> Option<Incoming> {
        let chat = Chat { id: Some(1_234), name: Some("Team".to_owned()), kind: Some("private_supergroup".to_owned()) };
        serde_json::from_value::<ExportedMessage>(message).unwrap().into_incoming(&chat)
    }

    #[test]
    fn a_text_in_parts_is_joined() {
        let incoming = read(json!({
            "id": 7, "type": "message", "date": "2025-11-24T10:00:00", "date_unixtime": "1763971200", "edited": "2025-11-24T10:01:00",
            "edited_unixtime": "1763971260", "from": "Olena", "from_id": "user1", "reply_to_message_id": 5, "forwarded_from": "Taras",
            "text": ["see ", {"type": "link", "text": "https://example.org"}, " and ", {"type": "code", "text": "x"}], "text_entities": []
        }))
        .unwrap();
        assert_eq!(incoming.content, "see https://example.org and x");
        assert_eq!(incoming.external_id, "telegram:-1000000001234:7");
        assert_eq!(incoming.reply_to.as_deref(), Some("telegram:-1000000001234:5"));
        assert_eq!(incoming.sent_at.to_rfc3339(), "2025-11-24T08:00:00+00:00");
        assert!(incoming.edited_at.is_some());
    }

    #[test]
    fn media_without_text_has_a_name() {
        let with = |field: &str, value: Value| {
            let mut message = json!({"id": 1, "type": "message", "date_unixtime": "1", "from": null, "text": ""});
            message[field] = value;
            read(message).map(|incoming| incoming.content)
        };
        assert_eq!(with("photo", json!("photos/1.jpg")).as_deref(), Some("[photo]"));
        assert_eq!(with("media_type", json!("voice_message")).as_deref(), Some("[voice message]"));
        assert_eq!(with("poll", json!({"question": "When?", "answers": []})).as_deref(), Some("[poll] When?"));
        assert_eq!(with("type", json!("service")), None);
        assert_eq!(with("text", json!([])), None);
    }
}
