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
    let mut found: Vec<(&Subject, Vec<&SourceMessage>)> = Vec::new();
    for (message, subject) in messages.iter().zip(&subjects) {
        let Some(subject) = subject else { continue };
        match found.iter_mut().find(|(known, _)| known.name == subject.name) {
            Some((_, members)) => members.push(message),
            None => found.push((subject, vec![message])),
        }
    }
    let topics = found.into_iter().map(|(subject, members)| (subject, atoms_of(&members), members));
    let topics = topics.filter(|(_, atoms, _)| !atoms.is_empty()).map(|(subject, atoms, members)| {
        let ids: Vec<_> = members.iter().map(|message| message.id).collect();
        json!({"name": subject.name, "description": subject.description, "message_ids": ids, "atoms": atoms})
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
    let members: Vec<_> = messages.iter().collect();
    json!({"name": name.unwrap_or(usual), "description": description, "atoms": atoms_of(&members)})
}

/// An atom while they are being found.
struct Found<'a> {
    sort: Sort,
    title: String,
    content: String,
    message: &'a SourceMessage,
    sources: Vec<i64>,
    solves: Option<String>,
}

fn atoms_of(messages: &[&SourceMessage]) -> Vec<Value> {
    let mut found: Vec<Found<'_>> = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let atom = asked(message, &messages[index + 1..]).or_else(|| stated(message, &found));
        let Some(atom) = atom else { continue };
        let same =
            |known: &Found<'_>| known.sort.kind == atom.sort.kind && known.title.to_lowercase() == atom.title.to_lowercase();
        if !found.iter().any(same) {
            found.push(atom);
        }
    }
    found.into_iter().map(|atom| atom.value()).collect()
}

/// What a question makes known: its answer, or that nobody has one.
fn asked<'a>(message: &'a SourceMessage, later: &[&SourceMessage]) -> Option<Found<'a>> {
    if !atoms::is_question(message) || !atoms::asks_for_knowledge(message) {
        return None;
    }
    let answer = later
        .iter()
        .find(|answer| answer.author != message.author)
        .filter(|answer| answer.sent_at - message.sent_at <= ANSWERED_WITHIN && !atoms::is_question(answer));
    let title = words::title(&message.content);
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
    Some(Found { sort: Sort { kind, confidence }, title, content, message, sources, solves: None })
}

/// What a message says itself. A solution is one of the last problem before it, or says enough to stand alone.
fn stated<'a>(message: &'a SourceMessage, found: &[Found<'_>]) -> Option<Found<'a>> {
    let sort = atoms::sort(message)?;
    let content = message.content.trim().to_owned();
    let plain = Found { sort, title: words::title(&content), content, message, sources: vec![message.id], solves: None };
    if sort.kind != AtomKind::Solution {
        return Some(plain);
    }
    let problem = found.iter().rfind(|known| known.sort.kind == AtomKind::Problem);
    let problem = problem.filter(|problem| message.sent_at - problem.message.sent_at <= SOLVED_WITHIN);
    let Some(problem) = problem else { return (words::count(&message.content) >= 6).then_some(plain) };
    let confidence = (sort.confidence + 0.1).min(0.95);
    Some(Found {
        sort: Sort { confidence: (confidence * 100.0).round() / 100.0, ..sort },
        title: words::title(&format!("Solved: {}", problem.title)),
        content: format!("{}: {}", message.author, message.content.trim()),
        sources: vec![problem.message.id, message.id],
        solves: Some(problem.title.clone()),
        ..plain
    })
}

impl Found<'_> {
    fn value(self) -> Value {
        let links: Vec<_> = self.solves.iter().map(|title| json!({"kind": "solves", "to": title})).collect();
        json!({
            "kind": self.sort.kind, "title": self.title, "content": self.content, "confidence": self.sort.confidence,
            "source_message_ids": self.sources, "links": links,
        })
    }
}
