use leptos::prelude::*;
use taskscope_wire::Message;

use super::Timestamp;

/// Messages that something was made from.
#[component]
pub fn MessageList(
    /// The messages, oldest first.
    messages: Vec<Message>,
) -> impl IntoView {
    let rows = messages.into_iter().map(|message| {
        let channel = message.channel.map(|channel| view! { <span class="message-channel">{format!("in {channel}")}</span> });
        view! {
            <li class="message" data-testid="message">
                <p class="message-head">
                    <strong>{message.author}</strong>
                    {channel}
                    <Timestamp at=message.sent_at/>
                </p>
                <p class="message-text">{message.content}</p>
            </li>
        }
    });
    view! { <ol class="messages">{rows.collect_view()}</ol> }
}
