//! What Telegram's Bot API says, as far as it is read, and the messages in it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{clean, external_id};
use crate::messages::Incoming;

/// An update, from `getUpdates` or the webhook.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Update {
    pub(crate) update_id: i64,
    message: Option<Message>,
    edited_message: Option<Message>,
    channel_post: Option<Message>,
    edited_channel_post: Option<Message>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Message {
    message_id: i64,
    date: i64,
    edit_date: Option<i64>,
    chat: Chat,
    from: Option<User>,
    sender_chat: Option<Chat>,
    text: Option<String>,
    caption: Option<String>,
    reply_to_message: Option<Replied>,
    forward_origin: Option<Origin>,
    /// The kinds of media are told by the names of further fields.
    #[serde(flatten)]
    more: serde_json::Map<String, Value>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Chat {
    id: i64,
    title: Option<String>,
    first_name: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct User {
    first_name: String,
    last_name: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Replied {
    message_id: i64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Origin {
    sender_user: Option<User>,
    sender_user_name: Option<String>,
    sender_chat: Option<Chat>,
    chat: Option<Chat>,
}

/// Fields of a message that hold media, and what stands for it where it has no text.
const MEDIA: [(&str, &str); 9] = [
    ("photo", "photo"),
    ("video", "video"),
    ("voice", "voice message"),
    ("video_note", "video message"),
    ("audio", "audio"),
    ("sticker", "sticker"),
    ("document", "file"),
    ("location", "location"),
    ("poll", "poll"),
];

impl Update {
    /// The message in it, of one chat or of any. None for service messages, and for updates that are about something else.
    pub(crate) fn into_message(self, only_chat: Option<i64>) -> Option<Incoming> {
        let message = self.message.or(self.edited_message).or(self.channel_post).or(self.edited_channel_post)?;
        if only_chat.is_some_and(|chat| chat != message.chat.id) {
            return None;
        }
        message.into_incoming()
    }
}

impl Message {
    fn into_incoming(self) -> Option<Incoming> {
        let content = self.content()?;
        let chat = self.chat.id;
        let author = self.from.as_ref().map(User::name).or_else(|| self.sender_chat.as_ref().map(Chat::name));
        Some(Incoming {
            external_id: external_id(chat, self.message_id),
            channel: Some(clean(&self.chat.name())),
            author: clean(&author.unwrap_or_else(|| self.chat.name())),
            content: clean(&content),
            sent_at: DateTime::from_timestamp(self.date, 0)?,
            edited_at: self.edit_date.and_then(|time| DateTime::<Utc>::from_timestamp(time, 0)),
            reply_to: self.reply_to_message.map(|replied| external_id(chat, replied.message_id)),
            forwarded_from: self.forward_origin.and_then(Origin::into_name).map(|name| clean(&name)),
        })
    }

    fn content(&self) -> Option<String> {
        let text = self.text.as_ref().or(self.caption.as_ref()).filter(|text| !text.trim().is_empty());
        let media = || MEDIA.iter().find(|(field, _)| self.more.contains_key(*field)).map(|(_, name)| format!("[{name}]"));
        text.cloned().or_else(media)
    }
}

impl User {
    fn name(&self) -> String {
        let last = self.last_name.as_deref().unwrap_or_default();
        format!("{} {last}", self.first_name).trim().to_owned()
    }
}

impl Chat {
    fn name(&self) -> String {
        self.title.clone().or_else(|| self.first_name.clone()).unwrap_or_else(|| self.id.to_string())
    }
}

impl Origin {
    fn into_name(self) -> Option<String> {
        let user = self.sender_user.as_ref().map(User::name).or(self.sender_user_name);
        user.or_else(|| self.sender_chat.or(self.chat).as_ref().map(Chat::name))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn message(update: Value) -> Option<Incoming> {
        serde_json::from_value::<Update>(update).unwrap().into_message(None)
    }

    #[test]
    fn a_message_is_read_whole() {
        let incoming = message(json!({"update_id": 1, "edited_message": {
            "message_id": 42, "date": 1_763_971_200, "edit_date": 1_763_971_260, "chat": {"id": -1_001_234, "type": "supergroup", "title": "Team"},
            "from": {"id": 7, "is_bot": false, "first_name": "Olena", "last_name": "K."}, "text": "deploy at \u{0} noon",
            "reply_to_message": {"message_id": 40, "date": 1, "chat": {"id": -1_001_234, "type": "supergroup"}},
            "forward_origin": {"type": "hidden_user", "sender_user_name": "Taras", "date": 1}
        }}))
        .unwrap();
        assert_eq!((incoming.external_id.as_str(), incoming.author.as_str()), ("telegram:-1001234:42", "Olena K."));
        assert_eq!((incoming.channel.as_deref(), incoming.content.as_str()), (Some("Team"), "deploy at  noon"));
        assert_eq!(incoming.reply_to.as_deref(), Some("telegram:-1001234:40"));
        assert_eq!(incoming.forwarded_from.as_deref(), Some("Taras"));
        assert_eq!(incoming.edited_at.unwrap().to_rfc3339(), "2025-11-24T08:01:00+00:00");
    }

    #[test]
    fn media_without_text_has_a_name_and_service_messages_are_none() {
        let base = json!({"message_id": 1, "date": 1, "chat": {"id": 5, "first_name": "Ira"}});
        let with = |field: &str, value: Value| {
            let mut message = base.clone();
            message[field] = value;
            json!({"update_id": 1, "message": message})
        };
        let photo = message(with("photo", json!([{"file_id": "x"}]))).unwrap();
        assert_eq!((photo.content.as_str(), photo.author.as_str()), ("[photo]", "Ira"));
        assert_eq!(message(with("new_chat_title", json!("x"))), None);
        assert_eq!(message(json!({"update_id": 1, "my_chat_member": {}})), None);
    }
}
