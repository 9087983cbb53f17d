use std::collections::BTreeSet;

use serde_json::{Value, json};
use taskscope_wire::{Category, Recommendation};

use super::signals::{self, Signals};
use crate::llm::SourceMessage;

/// The most characters of a title.
const LONGEST_TITLE: usize = 100;
/// Below this a message proposes nothing.
const LEAST_CONFIDENCE: f64 = 0.4;
/// Nobody is ever surer than this.
const MOST_CONFIDENCE: f64 = 0.95;

/// A proposal for each message that asks for something to be done; those that speak of the same ticket are one.
pub(crate) fn answer(messages: &[SourceMessage]) -> Value {
    let mut found: Vec<Found<'_>> = Vec::new();
    for message in messages {
        let Some(new) = Found::of(message) else { continue };
        match found.iter_mut().find(|known| known.is_about(&new)) {
            Some(known) => known.join(new),
            None => found.push(new),
        }
    }
    for message in messages {
        for known in &mut found {
            known.support(message);
        }
    }
    json!({"proposals": found.iter().map(Found::proposal).collect::<Vec<_>>()})
}

/// What a message asks for.
struct Found<'a> {
    signals: Signals,
    /// The message that asks for it, and others that bear on it.
    messages: Vec<&'a SourceMessage>,
}

impl<'a> Found<'a> {
    fn of(message: &'a SourceMessage) -> Option<Self> {
        let signals = signals::read(&message.content)?;
        let this = Self { signals, messages: vec![message] };
        (this.confidence() >= LEAST_CONFIDENCE).then_some(this)
    }

    fn is_about(&self, other: &Self) -> bool {
        self.signals.tickets.iter().any(|ticket| other.signals.tickets.contains(ticket))
    }

    /// The stronger one says what is to be done.
    fn join(&mut self, mut other: Self) {
        if other.confidence() > self.confidence() {
            std::mem::swap(&mut self.signals, &mut other.signals);
            std::mem::swap(&mut self.messages, &mut other.messages);
        }
        self.messages.append(&mut other.messages);
        self.signals.tickets.append(&mut other.signals.tickets);
    }

    /// A message that only names the ticket is a source too.
    fn support(&mut self, message: &'a SourceMessage) {
        let is_new = self.messages.iter().all(|known| known.id != message.id);
        if is_new && signals::tickets(&message.content).iter().any(|ticket| self.signals.tickets.contains(ticket)) {
            self.messages.push(message);
        }
    }

    fn confidence(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a batch has few messages")]
        let others = (self.messages.len() - 1).min(3) as f64 * 0.04;
        let confidence = (self.signals.weight + others).min(MOST_CONFIDENCE);
        (confidence * 100.0).round() / 100.0
    }

    fn proposal(&self) -> Value {
        let ids: BTreeSet<_> = self.messages.iter().map(|message| message.id).collect();
        json!({
            "title": self.title(),
            "description": self.description(),
            "priority": self.signals.priority,
            "category": self.signals.category,
            "tags": self.tags(),
            "confidence": self.confidence(),
            "source_message_ids": ids,
            "reasoning": self.reasoning(),
            "recommendation": self.recommendation(),
        })
    }

    /// The first sentence, without the label before it.
    fn title(&self) -> String {
        let sentence = first_sentence(signals::without_label(&self.messages[0].content));
        let prefix = match self.signals.category {
            Category::Bug => "Fix: ",
            Category::Documentation => "Document: ",
            Category::TechnicalDebt => "Clean up: ",
            Category::Feature => "Build: ",
            Category::Task if self.signals.is_decision => "Carry out: ",
            Category::Task => "Do: ",
        };
        shortened(&format!("{prefix}{sentence}"), LONGEST_TITLE)
    }

    fn description(&self) -> String {
        let lines: Vec<_> =
            self.messages.iter().map(|message| format!("{}: {}", message.author, message.content.trim())).collect();
        lines.join("\n")
    }

    fn tags(&self) -> BTreeSet<String> {
        let of_messages = self.messages.iter().flat_map(|message| signals::tags(&message.content));
        of_messages.chain(self.signals.tickets.iter().cloned()).collect()
    }

    fn reasoning(&self) -> String {
        let words = self.signals.words.iter().map(|word| format!("“{word}”")).collect::<Vec<_>>().join(", ");
        let category = <&str>::from(self.signals.category).replace('_', " ");
        let mut text = format!("Keyword rules: {words} in the message of {} speak for {category}", self.messages[0].author);
        if !self.signals.urgency.is_empty() {
            let urgency = self.signals.urgency.iter().map(|word| format!("“{word}”")).collect::<Vec<_>>().join(", ");
            text.push_str(&format!("; {urgency} for {} priority", <&str>::from(self.signals.priority)));
        }
        if self.messages.len() > 1 {
            text.push_str(&format!("; {} other messages speak of the same ticket", self.messages.len() - 1));
        }
        text.push('.');
        text
    }

    /// Work that has a ticket is there already; what reads as done hardly needs a task.
    fn recommendation(&self) -> Recommendation {
        match (self.signals.is_done, self.signals.tickets.is_empty()) {
            (true, _) => Recommendation::Reject,
            (false, false) => Recommendation::UpdateExisting,
            (false, true) => Recommendation::NewTask,
        }
    }
}

fn first_sentence(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    let end = line.match_indices(['.', '!', '?']).find(|(place, sign)| {
        let rest = &line[place + sign.len()..];
        *place > 10 && (rest.is_empty() || rest.starts_with(' '))
    });
    let sentence = end.map_or(line, |(place, _)| &line[..place]);
    let words: Vec<_> = sentence.split_whitespace().filter(|word| !word.starts_with("http")).collect();
    words.join(" ").trim_matches([' ', ':', ',', '-']).to_owned()
}

fn shortened(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        return text.to_owned();
    }
    let head: String = text.chars().take(longest - 1).collect();
    let whole = head.rsplit_once(' ').map_or(head.as_str(), |(words, _)| words);
    format!("{}…", whole.trim_end_matches([',', ';', ':']))
}
