//! What goes over `/ws`: the query string of a watcher, and messages in their frames.

use taskscope_wire::{LiveMessage, Position, WatchQuery};

/// The first line is a query string, the rest a frame.
pub fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (query, frame) = text.split_once('\n').unwrap_or((&text, ""));
    wishes(query);
    if let Ok(message) = LiveMessage::decode(frame) {
        passed_on(message);
    }
    let Ok(messages) = LiveMessage::decode_batch(frame) else { return };
    let texts: Vec<String> = messages.iter().filter_map(|message| message.clone().encode().ok()).collect();
    let known: Vec<LiveMessage> = messages.into_iter().filter(|message| *message != LiveMessage::Other).collect();
    let again = LiveMessage::decode_batch(&format!("[{}]", texts.join(",")));
    assert_eq!(again.ok(), Some(known), "{texts:?}");
}

fn wishes(query: &str) {
    let Ok(wishes) = serde_urlencoded::from_str::<WatchQuery>(query) else { return };
    let Some(known) = wishes.known() else { return };
    // As the page writes it when it connects again.
    let pairs = [("batch", "1"), ("epoch", known.epoch.as_str()), ("seq", &known.seq.to_string())];
    let url: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let again: WatchQuery = serde_urlencoded::from_str(&url).unwrap_or_else(|error| panic!("{url}: {error}"));
    assert_eq!((again.known(), again.wants_arrays()), (Some(Position { ..known }), true), "{url}");
}

fn passed_on(message: LiveMessage) {
    match message.clone().encode() {
        Ok(text) => assert_eq!(LiveMessage::decode(&text).ok(), Some(message), "{text}"),
        Err(error) => assert_eq!(message, LiveMessage::Other, "{error}"),
    }
}
