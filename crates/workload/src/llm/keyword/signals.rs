//! What the words of a message say about work, in English and Ukrainian.

use taskscope_wire::{Category, Priority};

use crate::analysis::keywords;

/// What a message says about work.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Signals {
    pub(super) category: Category,
    /// The words that speak for it.
    pub(super) words: Vec<&'static str>,
    pub(super) priority: Priority,
    /// The words that speak for the priority.
    pub(super) urgency: Vec<&'static str>,
    pub(super) tickets: Vec<String>,
    /// Somebody decided something.
    pub(super) is_decision: bool,
    /// It reads as if nothing were left to do.
    pub(super) is_done: bool,
    /// How sure the rules are, from 0; over 1 for many words.
    pub(super) weight: f64,
}

struct Rule {
    category: Category,
    is_decision: bool,
    /// What each word is worth.
    weight: f64,
    words: &'static [&'static str],
}

const fn rule(category: Category, is_decision: bool, weight: f64, words: &'static [&'static str]) -> Rule {
    Rule { category, is_decision, weight, words }
}

/// Whether there is a task, and of what kind. A word counts for each rule that has it.
const RULES: [Rule; 11] = [
    rule(
        Category::Bug,
        false,
        0.55,
        &["bug:", "regression", "data loss", "crash", "баг", "не працю", "ламає", "зламал", "падає"],
    ),
    rule(
        Category::Bug,
        false,
        0.45,
        &[
            "broken",
            "fails",
            "failed",
            "is down",
            "does not work",
            "doesn't work",
            "not working",
            "exception",
            "jumps back",
            "leak",
            "wrong",
            "помилк",
            "впав",
            "fail with",
        ],
    ),
    rule(Category::Bug, false, 0.4, &["timeout", "timed out", "alert", "reports", "error", "is empty", "out of bounds", "збій"]),
    rule(
        Category::Feature,
        false,
        0.45,
        &[
            "can we",
            "could we",
            "we need",
            "would like",
            "it would be",
            "would be nice",
            "feature",
            "i would add",
            "please add",
            "ask for",
            "make it a habit",
            "потрібно",
            "треба",
            "хотілося б",
            "додати",
            "додай",
            "пропоную",
            "чи можна",
        ],
    ),
    rule(Category::Feature, false, 0.25, &["idea:", "wish", "limit per", "on the dashboard"]),
    rule(
        Category::Task,
        true,
        0.6,
        &["decided:", "decision", "decided", "agreed", "let's go with", "вирішили", "рішення", "домовил"],
    ),
    rule(
        Category::Task,
        false,
        0.42,
        &["can you", "please", "let's", "must be", "todo", "deadline", "blocked by", "you take", "перевір", "зроби", "дедлайн"],
    ),
    rule(
        Category::Documentation,
        false,
        0.5,
        &["docs", "document", "readme", "changelog", "write it down", "write that down", "incident note", "документ", "інструкц"],
    ),
    rule(Category::Documentation, false, 0.45, &["typo", "wiki", "описати", "опиши"]),
    rule(
        Category::TechnicalDebt,
        false,
        0.55,
        &["refactor", "technical debt", "tech debt", "clean up", "cleanup", "deprecat", "workaround", "рефактор", "костил"],
    ),
    rule(
        Category::TechnicalDebt,
        false,
        0.45,
        &[
            "split `",
            "historical",
            "legacy",
            "stays in the code",
            "i remove it",
            "by accident",
            "opens a new connection",
            "техборг",
        ],
    ),
];

/// How urgent it is, the most urgent first.
const URGENCY: [(Priority, &[&str]); 4] = [
    (Priority::Critical, &["data loss", "outage", "production is down", "vulnerab", "security hole", "втрата даних"]),
    (
        Priority::Urgent,
        &["urgent", "asap", "immediately", "is down", "deadline", "blocked", "priority one", "терміново", "негайно"],
    ),
    (
        Priority::High,
        &[
            "alert",
            "regression",
            "crash",
            "broken",
            "must",
            "customers",
            "permission denied",
            "не працю",
            "впав",
            "важливо",
            "today",
        ],
    ),
    (Priority::Low, &["typo", "nice to have", "when you have", "someday", "small", "would be nice", "колись", "дрібниц"]),
];

/// What reads as if nothing were left to do.
const DONE: [&str; 26] = [
    "fixed",
    "resolved",
    "passed",
    "is done",
    "finished",
    "merged",
    "is live",
    "thanks",
    "thank you",
    "approved",
    "reviewed",
    "no error",
    "errors stopped",
    "back up",
    "is merged",
    "went well",
    "was lost",
    "are written",
    "is written",
    "already",
    "error rate",
    "green",
    "виправ",
    "готово",
    "дякую",
    "без помилок",
];
/// What a word of [`DONE`] takes away.
const DONE_WEIGHT: f64 = 0.25;
/// What each further word adds, at most three.
const FURTHER_WEIGHT: f64 = 0.08;
const URGENCY_WEIGHT: f64 = 0.06;
const TICKET_WEIGHT: f64 = 0.05;
/// A text of some length says what is meant.
const LENGTH_WEIGHT: f64 = 0.05;
const LONG: usize = 8;
/// Fewer words name no task.
const SHORT: usize = 3;
const QUESTION_WEIGHT: f64 = 0.04;

const LABELS: [&str; 12] = [
    "bug:",
    "decided:",
    "decision:",
    "agreed:",
    "idea:",
    "todo:",
    "feature:",
    "question:",
    "alert",
    "agreed.",
    "баг:",
    "рішення:",
];

/// Parts of a system that teams speak of.
const COMPONENTS: [(&str, &[&str]); 14] = [
    ("api", &["api"]),
    ("backup", &["backup"]),
    ("ci", &["build", "ci.", "smoke test"]),
    ("dashboard", &["dashboard", "chart"]),
    ("database", &["database", "migration", "index", "query", "postgres", "table", "база даних", "міграц"]),
    ("deploy", &["deploy", "release", "rollback", "staging", "production", "деплой", "реліз", "стейдж"]),
    ("documentation", &["docs", "document", "changelog", "readme", "документ"]),
    ("import", &["import"]),
    ("login", &["login", "sign in", "вхід"]),
    ("parser", &["parser"]),
    ("queue", &["queue", "retry", "retries", "worker"]),
    ("reports", &["report is", "nightly report", "звіт"]),
    ("storage", &["storage", "disk"]),
    ("ui", &["progress bar", "the ui", "log view", "page"]),
];

/// Reads a message; none where no word speaks of work.
pub(super) fn read(content: &str) -> Option<Signals> {
    let text = content.trim().to_lowercase();
    let count = text.split_whitespace().count();
    if count < SHORT {
        return None;
    }
    let found = RULES.iter().map(|rule| (rule, words(&text, rule.words))).filter(|(_, words)| !words.is_empty());
    let (rule, words_found) = found.max_by(|one, other| strength(one).total_cmp(&strength(other)))?;
    let (priority, urgency) = urgency(&text);
    let tickets = tickets(content);
    let is_done = DONE.iter().any(|word| keywords::has(&text, word));
    let mut weight = strength(&(rule, words_found.clone()));
    weight += if urgency.is_empty() { 0.0 } else { URGENCY_WEIGHT };
    weight += if tickets.is_empty() { 0.0 } else { TICKET_WEIGHT };
    weight += if count >= LONG { LENGTH_WEIGHT } else { 0.0 };
    weight -= if text.ends_with('?') { QUESTION_WEIGHT } else { 0.0 };
    weight -= if is_done { DONE_WEIGHT } else { 0.0 };
    let (category, is_decision) = (rule.category, rule.is_decision);
    Some(Signals { category, words: words_found, priority, urgency, tickets, is_decision, is_done, weight })
}

fn strength((rule, words): &(&Rule, Vec<&'static str>)) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "at most three")]
    let further = words.len().saturating_sub(1).min(3) as f64;
    rule.weight + further * FURTHER_WEIGHT
}

fn words(text: &str, words: &[&'static str]) -> Vec<&'static str> {
    words.iter().copied().filter(|word| keywords::has(text, word)).collect()
}

fn urgency(text: &str) -> (Priority, Vec<&'static str>) {
    let found = URGENCY.iter().map(|(priority, all)| (*priority, words(text, all))).find(|(_, words)| !words.is_empty());
    found.unwrap_or((Priority::Medium, Vec::new()))
}

/// Names of tickets, such as `HRB-412`.
pub(super) fn tickets(content: &str) -> Vec<String> {
    let words = content.split(|sign: char| !sign.is_alphanumeric() && sign != '-');
    words.filter(|word| is_ticket(word)).map(str::to_owned).collect()
}

fn is_ticket(word: &str) -> bool {
    word.split_once('-').is_some_and(|(project, number)| {
        project.len() >= 2
            && project.chars().all(|sign| sign.is_ascii_uppercase())
            && !number.is_empty()
            && number.chars().all(|sign| sign.is_ascii_digit())
    })
}

/// Hashtags, and the parts of a system that the text speaks of.
pub(super) fn tags(content: &str) -> Vec<String> {
    let text = content.to_lowercase();
    let hashtags = text.split_whitespace().filter_map(|word| word.strip_prefix('#'));
    let hashtags = hashtags.map(|tag| tag.trim_matches(|sign: char| !sign.is_alphanumeric())).filter(|tag| !tag.is_empty());
    let components = COMPONENTS.iter().filter(|(_, all)| all.iter().any(|word| keywords::has(&text, word)));
    hashtags.map(str::to_owned).chain(components.map(|(name, _)| (*name).to_owned())).collect()
}

/// A text without what only says of which kind it is, or who is to read it.
pub(super) fn without_label(content: &str) -> &str {
    let mut text = content.trim();
    while let Some(rest) = text.strip_prefix('@') {
        text = rest.split_once(' ').map_or("", |(_, rest)| rest.trim_start());
    }
    for label in LABELS {
        let head = text.get(..label.len()).unwrap_or_default();
        if head.to_lowercase() == label && text.len() > label.len() {
            text = text[label.len()..].trim_start();
        }
    }
    text
}
