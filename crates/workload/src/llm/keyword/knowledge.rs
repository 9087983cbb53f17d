//! Topics and atoms, as a model would answer.

use chrono::TimeDelta;
use serde_json::{Value, json};
use taskscope_wire::AtomKind;

use super::{
    atoms::{self, Sort},
    subjects::{self, Subject},
    words,
};
use crate::llm::SourceMessage;

/// How long after a problem something counts as its solution.
const SOLVED_WITHIN: TimeDelta = TimeDelta::hours(1);
/// How long after a question something counts as its answer.
const ANSWERED_WITHIN: TimeDelta = TimeDelta::minutes(15);

/// The topics that have atoms, in the order in which they came up.
pub(super) fn topics(messages: &[SourceMessage]) -> Value {
    let subjects = subjects::of(messages);
    let atoms = find(messages, &subjects);
    let mut topics: Vec<&Subject> = Vec::new();
    for subject in atoms.iter().filter_map(|atom| atom.subject) {
        if !topics.contains(&subject) {
            topics.push(subject);
        }
    }
    let topics = topics.into_iter().map(|topic| {
        let members = messages.iter().zip(&subjects).filter(|(_, subject)| subject.as_ref() == Some(topic));
        let ids: Vec<_> = members.map(|(message, _)| message.id).collect();
        let atoms: Vec<_> = atoms.iter().filter(|atom| atom.subject == Some(topic)).map(Found::value).collect();
        json!({"name": topic.name, "description": topic.description, "message_ids": ids, "atoms": atoms})
    });
    json!({"topics": topics.collect::<Vec<_>>()})
}

/// One topic, under its name or that of what most messages are about.
pub(super) fn topic(name: Option<&str>, messages: &[SourceMessage]) -> Value {
    let subjects = subjects::of(messages);
    let often = |subject: &Subject| subjects.iter().flatten().filter(|other| *other == subject).count();
    let most = subjects.iter().flatten().rev().max_by_key(|subject| often(subject));
    let (usual, description) = most.map_or(("General", "What belongs nowhere else."), |most| (&most.name, &most.description));
    let description = if name.is_some_and(|name| name != usual) { "" } else { description };
    let atoms: Vec<_> = find(messages, &subjects).iter().map(Found::value).collect();
    json!({"name": name.unwrap_or(usual), "description": description, "atoms": atoms})
}

/// An atom while they are being found.
struct Found<'a> {
    subject: Option<&'a Subject>,
    sort: Sort,
    title: String,
    content: String,
    message: &'a SourceMessage,
    sources: Vec<i64>,
    solves: Option<String>,
}

fn find<'a>(messages: &'a [SourceMessage], subjects: &'a [Option<Subject>]) -> Vec<Found<'a>> {
    let mut found: Vec<Found<'a>> = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        // It is the answer to a question before.
        if found.iter().any(|known| known.sources[1..].contains(&message.id)) {
            continue;
        }
        let subject = subjects[index].as_ref();
        let Some(atom) = asked(message, &messages[index + 1..], subject).or_else(|| stated(message, subject, &found)) else {
            continue;
        };
        let same = |known: &&mut Found<'_>| {
            known.subject == atom.subject
                && known.sort.kind == atom.sort.kind
                && known.title.to_lowercase() == atom.title.to_lowercase()
        };
        match found.iter_mut().find(same) {
            Some(known) => known.extend(atom),
            None => found.push(atom),
        }
    }
    found
}

/// What a question makes known: its answer, or that nobody has one.
fn asked<'a>(message: &'a SourceMessage, later: &[SourceMessage], subject: Option<&'a Subject>) -> Option<Found<'a>> {
    if !atoms::is_question(message) || !atoms::asks_for_knowledge(message) {
        return None;
    }
    let in_time = |answer: &&SourceMessage| answer.sent_at - message.sent_at <= ANSWERED_WITHIN;
    let answer = later.iter().take_while(in_time).find(|answer| answer.author != message.author && !atoms::is_question(answer));
    let (kind, confidence, content, sources) = match answer {
        Some(answer) if words::count(&answer.content) >= 4 => {
            let content = format!("{}\n{}: {}", message.content.trim(), answer.author, answer.content.trim());
            (
                AtomKind::Insight,
                if words::count(&answer.content) >= 8 { 0.72 } else { 0.62 },
                content,
                vec![message.id, answer.id],
            )
        }
        // Answered, but in words that tell nothing later.
        Some(_) => return None,
        None => (AtomKind::Question, 0.55, message.content.trim().to_owned(), vec![message.id]),
    };
    let (sort, title) = (Sort { kind, confidence }, words::title(&message.content));
    Some(Found { subject, sort, title, content, message, sources, solves: None })
}

/// What a message says itself. A solution is one of the last problem before it, or says enough to stand alone.
fn stated<'a>(message: &'a SourceMessage, subject: Option<&'a Subject>, found: &[Found<'a>]) -> Option<Found<'a>> {
    let sort = atoms::sort(message)?;
    let content = message.content.trim().to_owned();
    let plain = Found { subject, sort, title: words::title(&content), content, message, sources: vec![message.id], solves: None };
    if sort.kind != AtomKind::Solution {
        return Some(plain);
    }
    let problem = found.iter().rfind(|known| known.sort.kind == AtomKind::Problem);
    let problem = problem.filter(|problem| message.sent_at - problem.message.sent_at <= SOLVED_WITHIN);
    let Some(problem) = problem else { return (words::count(&message.content) >= 6).then_some(plain) };
    Some(Found {
        // It belongs to what it solves, whatever words it has itself.
        subject: problem.subject,
        sort: Sort { confidence: ((sort.confidence + 0.1).min(0.95) * 100.0).round() / 100.0, ..sort },
        title: words::title(&format!("Solved: {}", problem.title)),
        content: format!("{}: {}", message.author, plain.content),
        sources: vec![message.id],
        solves: Some(problem.title.clone()),
        ..plain
    })
}

impl Found<'_> {
    /// The same once more adds what it says.
    fn extend(&mut self, other: Self) {
        if !self.content.contains(&other.content) {
            self.content = format!("{}\n{}", self.content, other.content);
        }
        self.sort.confidence = self.sort.confidence.max(other.sort.confidence);
        self.sources.extend(other.sources);
    }

    fn value(&self) -> Value {
        let links: Vec<_> = self.solves.iter().map(|title| json!({"kind": "solves", "to": title})).collect();
        json!({
            "kind": self.sort.kind, "title": self.title, "content": self.content, "confidence": self.sort.confidence,
            "source_message_ids": self.sources, "links": links,
        })
    }
}
