//! What messages are about: a ticket, a hashtag, or the part of a team's work whose words they have.

use chrono::TimeDelta;

use super::words;
use crate::llm::SourceMessage;

/// How long a talk goes on about what it was about.
const TALK: TimeDelta = TimeDelta::minutes(10);

/// Parts of a software team's work, what they are, and the words by which they are known.
const SUBJECTS: [(&str, &str, &[&str]); 13] = [
    (
        "Retries and queue",
        "How failed work is tried again, and how it waits.",
        &["retry", "retries", "retried", "back-off", "backoff", "queue*", "attempt*", "jitter", "waiting", "черг*", "повтор*"],
    ),
    (
        "Alerts and monitoring",
        "What is watched, and when somebody is called.",
        &[
            "alert*",
            "dashboard*",
            "monitoring",
            "p95",
            "metric*",
            "prometheus",
            "exporter",
            "on call",
            "error rate",
            "oldest_waiting*",
            "сповіщен*",
            "моніторинг*",
        ],
    ),
    (
        "Database",
        "Tables, queries, indexes and migrations.",
        &[
            "database",
            "migration*",
            "index",
            "query",
            "queries",
            "transaction",
            "connection",
            "table",
            "grant",
            "sql",
            "база",
            "бази",
            "міграц*",
            "запит*",
        ],
    ),
    (
        "Import",
        "How files of customers are read.",
        &["import*", "parser", "csv", "file", "files", "header", "tokenizer", "імпорт*", "файл*"],
    ),
    (
        "Releases",
        "What goes to production, and when.",
        &[
            "release*",
            "deploy*",
            "rollback",
            "rollout",
            "production",
            "staging*",
            "freeze",
            "flag",
            "реліз*",
            "деплой*",
            "стейджинг*",
        ],
    ),
    (
        "Storage and backups",
        "Where data lies, and how it comes back.",
        &["backup*", "restore", "storage", "disk", "бекап*", "диск*"],
    ),
    (
        "Builds and tests",
        "What is checked before it is merged.",
        &["build", "test", "tests", "ci", "fixture", "smoke", "merge", "тест*", "збірк*"],
    ),
    ("Documentation", "What is written down.", &["docs", "documentation", "changelog", "typo", "wiki", "note", "документ*"]),
    (
        "Security",
        "Who may do what.",
        &["security", "certificate", "permission*", "role*", "password", "audit", "безпек*", "сертифікат*", "вхід"],
    ),
    (
        "Performance",
        "How fast it is, and what it needs.",
        &["slow*", "faster", "memory", "latency", "capacity", "load test", "повільн*", "пам'ят*"],
    ),
    (
        "User interface",
        "What users see.",
        &["ui", "progress bar", "button", "log view", "page", "report", "template", "звіт*", "сторінк*", "кнопк*"],
    ),
    (
        "Customers",
        "What customers and those who talk to them need.",
        &["customer*", "support", "sales", "demo", "клієнт*", "підтримк*"],
    ),
    (
        "Planning",
        "Who does what next.",
        &["sprint", "backlog", "estimate", "priority", "ticket*", "deadline", "roadmap", "спринт*", "задач*"],
    ),
];

/// A subject's name and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Subject {
    pub(super) name: String,
    pub(super) description: String,
}

/// What each message is about: what it names itself, else what the talk was about before.
pub(super) fn of(messages: &[SourceMessage]) -> Vec<Option<Subject>> {
    let mut subjects: Vec<Option<Subject>> = Vec::with_capacity(messages.len());
    for (index, message) in messages.iter().enumerate() {
        let before = index.checked_sub(1).map(|before| (&messages[before], &subjects[before]));
        let goes_on =
            || before.filter(|(earlier, _)| message.sent_at - earlier.sent_at <= TALK).and_then(|(_, subject)| subject.clone());
        let subject = named(message).or_else(goes_on);
        subjects.push(subject);
    }
    subjects
}

fn named(message: &SourceMessage) -> Option<Subject> {
    let ticket = words::tickets(&message.content).into_iter().next();
    if let Some(name) = ticket.or_else(|| words::hashtags(&message.content).into_iter().next()) {
        let description = format!("What was said about {name}.");
        return Some(Subject { name, description });
    }
    let text = message.content.to_lowercase();
    let hits = |words: &[&str]| words.iter().filter(|word| words::has(&text, word)).count();
    // The first of equals counts: they stand from the particular to the general.
    let (_, (name, description, _)) = SUBJECTS
        .iter()
        .map(|subject| (hits(subject.2), subject))
        .rev()
        .max_by_key(|(hits, _)| *hits)
        .filter(|(hits, _)| *hits > 0)?;
    Some(Subject { name: (*name).to_owned(), description: (*description).to_owned() })
}
