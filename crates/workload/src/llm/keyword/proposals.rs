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

    /// The sentence that asks for it, without the label before it.
    fn title(&self) -> String {
        let sentence = sentence_with(&self.messages[0].content, &self.signals.words);
        let sentence = capitalized(signals::without_label(&sentence));
        let prefix = match self.signals.category {
            Category::Bug => "Fix: ",
            Category::Documentation => "Document: ",
            Category::TechnicalDebt => "Clean up: ",
            Category::Feature => "Consider: ",
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

/// The first sentence that has one of the words, without addresses of pages; the longest where they are spread over two.
fn sentence_with(text: &str, words: &[&str]) -> String {
    let all = sentences(text);
    let has_word = |sentence: &&String| words.iter().any(|word| sentence.to_lowercase().contains(word));
    // “Agreed.” alone says nothing of what.
    let says_more = |sentence: &&String| signals::without_label(sentence).contains(' ');
    let found = all.iter().skip_while(|sentence| !has_word(sentence)).find(says_more);
    found.or_else(|| all.iter().max_by_key(|sentence| sentence.len())).cloned().unwrap_or_default()
}

fn sentences(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    for line in text.lines() {
        let mut sentence = Vec::new();
        for word in line.split_whitespace().filter(|word| !word.contains("://")) {
            sentence.push(word);
            if word.ends_with(['.', '!', '?']) {
                all.push(sentence.join(" "));
                sentence.clear();
            }
        }
        all.push(sentence.join(" "));
    }
    let bare = all.iter().map(|sentence| sentence.trim_matches([' ', ':', ',', '-', '.', '!', '?']).to_owned());
    bare.filter(|sentence| !sentence.is_empty()).collect()
}

/// A name such as `import-worker-2` stays as it is.
fn capitalized(text: &str) -> String {
    let first = text.split_whitespace().next().unwrap_or_default();
    if !first.chars().all(|letter| letter.is_alphabetic() || letter == ',') {
        return text.to_owned();
    }
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn shortened(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        return text.to_owned();
    }
    let head: String = text.chars().take(longest - 1).collect();
    let whole = head.rsplit_once(' ').map_or(head.as_str(), |(words, _)| words);
    format!("{}…", whole.trim_end_matches([',', ';', ':']))
}

#[cfg(test)]
mod tests {
    use chrono::Utc;

    use super::*;
    use crate::{
        demo, sample,
        telegram::export::{self, Input},
    };

    const MIGRATION: &str = include_str!("../../../../../migrations/0005_knowledge_and_analysis.up.sql");

    fn messages(texts: &[&str]) -> Vec<SourceMessage> {
        let message = |(id, text): (i64, &&str)| SourceMessage {
            id,
            author: "Olena".to_owned(),
            sent_at: Utc::now(),
            content: (*text).to_owned(),
        };
        (1..).zip(texts).map(message).collect()
    }

    /// The proposals, after the answer is found to fit the schema that the product asks for.
    fn proposals(messages: &[SourceMessage]) -> Vec<Value> {
        let schema = MIGRATION.split_once("'Tasks that follow from messages.',").unwrap().1;
        let schema = schema.split_once('\'').unwrap().1.split_once('\'').unwrap().0;
        let schema: Value = serde_json::from_str(schema).unwrap();
        let answer = answer(messages);
        if let Err(error) = jsonschema::validate(&schema, &answer) {
            panic!("{error}: {answer}");
        }
        answer["proposals"].as_array().unwrap().clone()
    }

    fn words<'a>(proposal: &'a Value, field: &str) -> &'a str {
        proposal[field].as_str().unwrap()
    }

    #[test]
    fn each_kind_of_work_is_known_in_both_languages() {
        let cases = [
            (
                "bug: the progress bar jumps back to 0 % after a retry",
                "bug",
                "medium",
                "Fix: The progress bar jumps back to 0 % after a retry",
            ),
            (
                "не працює вхід на стейджингу, хтось ще бачить?",
                "bug",
                "high",
                "Fix: Не працює вхід на стейджингу, хтось ще бачить",
            ),
            (
                "Great. Can we get the storage latency on the dashboard?",
                "feature",
                "medium",
                "Consider: Get the storage latency on the dashboard",
            ),
            (
                "decided: the limit per customer is 5000 files",
                "task",
                "medium",
                "Carry out: The limit per customer is 5000 files",
            ),
            ("@marta can you check the disk of the server?", "task", "medium", "Do: Check the disk of the server"),
            ("there is a typo in the second example", "documentation", "low", "Document: There is a typo in the second example"),
            ("треба описати це в документації", "documentation", "medium", "Document: Треба описати це в документації"),
            (
                "we should refactor `store_rows` before the next case",
                "technical_debt",
                "medium",
                "Clean up: We should refactor `store_rows` before the next case",
            ),
            ("терміново: впав імпорт на всіх вузлах", "bug", "urgent", "Fix: терміново: впав імпорт на всіх вузлах"),
        ];
        for (text, category, priority, title) in cases {
            let proposals = proposals(&messages(&[text]));
            assert_eq!(proposals.len(), 1, "{text}");
            let said = ["category", "priority", "title"].map(|field| words(&proposals[0], field));
            assert_eq!(said, [category, priority, title]);
        }
    }

    #[test]
    fn what_is_done_or_small_talk_proposes_nothing() {
        for text in [
            "thanks, that helped!",
            "fixed, there was no test for it",
            "who has coffee beans left?",
            "security update is merged",
            "ok",
        ] {
            assert_eq!(proposals(&messages(&[text])), Vec::<Value>::new(), "{text}");
        }
    }

    #[test]
    fn messages_of_one_ticket_are_one_proposal() {
        let texts = [
            "HRB-7: the export crashes on empty files",
            "what about HRB-7?",
            "regression: HRB-7 crash is still broken in the release, urgent",
        ];
        let proposals = proposals(&messages(&texts));
        assert_eq!(proposals.len(), 1);
        let proposal = &proposals[0];
        assert_eq!(proposal["source_message_ids"], json!([1, 2, 3]));
        assert_eq!((words(proposal, "priority"), words(proposal, "recommendation")), ("urgent", "update_existing"));
        assert!(proposal["tags"].as_array().unwrap().contains(&json!("HRB-7")));
        let reasoning = words(proposal, "reasoning");
        assert!(reasoning.contains("“regression”, “crash”") && reasoning.contains("2 other messages"), "{reasoning}");
    }

    #[test]
    fn long_titles_end_at_a_word() {
        let text = format!("bug: {}", "something is wrong ".repeat(20));
        let title = words(&proposals(&messages(&[&text]))[0], "title").to_owned();
        assert!(title.chars().count() <= LONGEST_TITLE && title.ends_with(" is…"), "{title}");
    }

    /// Of the sample chat about one message in six asks for something, more or less surely, and every answer fits the schema.
    #[tokio::test]
    async fn the_sample_chat_gives_proposals_of_every_kind() {
        let mut batches = export::read(Input::Bundled(sample::EXPORT));
        let mut all = Vec::new();
        while let Some(batch) = batches.recv().await {
            all.extend(batch.unwrap().messages);
        }
        let message = |(id, message): (i64, crate::messages::Incoming)| SourceMessage {
            id,
            author: message.author,
            sent_at: message.sent_at,
            content: message.content,
        };
        let all: Vec<_> = (1..).zip(all).map(message).collect();
        let found: Vec<_> = all.chunks(15).flat_map(proposals).collect();
        assert!((all.len() / 8..all.len() / 4).contains(&found.len()), "{} of {}", found.len(), all.len());
        for category in ["bug", "feature", "task", "documentation", "technical_debt"] {
            assert!(found.iter().any(|proposal| words(proposal, "category") == category), "{category}");
        }
        let confidence: Vec<_> = found.iter().map(|proposal| proposal["confidence"].as_f64().unwrap()).collect();
        let unsure = confidence.iter().filter(|confidence| **confidence < 0.5).count();
        let sure = confidence.iter().filter(|confidence| **confidence >= 0.65).count();
        assert!(unsure > 3 && sure > 3, "{confidence:?}");
    }

    #[test]
    fn the_sample_work_gives_proposals() {
        let updates: Vec<_> = (0..16).map(|number| demo::update(number, Utc::now())).collect();
        let texts: Vec<_> = updates.iter().map(|update| words(&update["update"]["edited_message"], "text")).collect();
        let found = proposals(&messages(&texts));
        assert!((5..=10).contains(&found.len()), "{found:?}");
    }
}
