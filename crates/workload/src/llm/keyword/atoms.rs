//! Which messages are knowledge, of which kind, and how surely: by the words that announce it, in English and Ukrainian.

use taskscope_wire::AtomKind;

use super::words;
use crate::llm::SourceMessage;

/// A kind of knowledge, how sure its words are, and the words.
struct Rule {
    kind: AtomKind,
    confidence: f64,
    words: &'static [&'static str],
}

const fn rule(kind: AtomKind, confidence: f64, words: &'static [&'static str]) -> Rule {
    Rule { kind, confidence, words }
}

/// The first rule that a message meets counts, so the surest come first.
const RULES: [Rule; 15] = [
    rule(
        AtomKind::Decision,
        0.88,
        &["decision:", "decided:", "decision from it", "decision for the future", "we decided", "вирішили", "рішення:"],
    ),
    rule(AtomKind::Problem, 0.86, &["bug:", "regression", "баг:", "data loss"]),
    rule(AtomKind::Decision, 0.76, &["let's go with", "agreed,", "moves to next sprint", "домовились", "goes away"]),
    rule(AtomKind::Requirement, 0.8, &["deadline", "must be", "must not", "has to be", "freeze for", "дедлайн", "обов'язково"]),
    rule(
        AtomKind::Solution,
        0.74,
        &["fixed in", "fixed,", "is fixed", "the fix is", "solved by", "workaround", "виправлено", "виправив", "виправила"],
    ),
    rule(
        AtomKind::Problem,
        0.76,
        &[
            "permission denied",
            "crash*",
            "exception",
            "is down",
            "went down",
            "broken",
            "blocked by",
            "error rate goes up",
            "out of memory",
            "не працює",
            "помилк*",
            "впав",
            "зламал*",
            "зламан*",
        ],
    ),
    rule(
        AtomKind::Pattern,
        0.7,
        &[
            "make it a habit",
            "as a migration, not by hand",
            "by convention",
            "we always",
            "every time",
            "every thursday",
            "every friday",
            "завжди",
        ],
    ),
    rule(
        AtomKind::Requirement,
        0.68,
        &[
            "we need",
            "needs to",
            "need to",
            "must",
            "please add",
            "please write",
            "please keep",
            "should get",
            "треба",
            "потрібно",
        ],
    ),
    rule(
        AtomKind::Insight,
        0.7,
        &["because", "turns out", "that is why", "the reason", "root cause", "тому що", "виявилось", "через те що"],
    ),
    rule(
        AtomKind::Solution,
        0.66,
        &[
            "fixed",
            "restored",
            "back up",
            "switching it off",
            "is ready:",
            "is back to",
            "retries on again",
            "errors stopped",
            "rollback of",
            "полагоди*",
        ],
    ),
    rule(
        AtomKind::Problem,
        0.6,
        &[
            "error",
            "errors",
            "fail",
            "fails",
            "failed",
            "timeout*",
            "slow",
            "no grant",
            "wrong",
            "alert",
            "too long",
            "таймаут*",
            "повільно",
        ],
    ),
    rule(
        AtomKind::Insight,
        0.6,
        &[
            "instead of",
            "before it was",
            "became",
            "faster",
            "is lower than",
            "now streams",
            "short version",
            "замість",
            "швидше",
        ],
    ),
    rule(AtomKind::Decision, 0.58, &["i would", "let's", "we will", "i take", "давайте", "будемо"]),
    rule(AtomKind::Pattern, 0.56, &["usually", "as before", "every", "each", "зазвичай", "щодня", "щотижня"]),
    rule(AtomKind::Insight, 0.5, &["it is the", "by accident", "belong to", "expects to", "means that", "це означає"]),
];

/// What sounds like trouble and tells that there is none.
const ALL_IS_WELL: [&str; 10] = [
    "no error",
    "no errors",
    "no alert",
    "without error",
    "nothing is lost",
    "succeeded",
    "passed",
    "resolved",
    "nothing new",
    "без помилок",
];

/// What nobody needs to know later.
const SMALL_TALK: [&str; 16] = [
    "lunch",
    "coffee",
    "weekend",
    "good morning",
    "thanks",
    "thank you",
    "beautiful",
    "congratulations",
    "birthday",
    "haha",
    "oh no",
    "sorry",
    "обід",
    "дякую",
    "доброго ранку",
    ":)",
];

/// A kind, and how sure that is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sort {
    pub(super) kind: AtomKind,
    pub(super) confidence: f64,
}

/// What kind of knowledge a message is, if it is any.
pub(super) fn sort(message: &SourceMessage) -> Option<Sort> {
    let text = message.content.to_lowercase();
    if words::first(&text, &SMALL_TALK).is_some() && words::count(&text) < 14 {
        return None;
    }
    let rule = RULES.iter().find(|rule| words::first(&text, rule.words).is_some() && allows(rule, &text))?;
    let confidence = (rule.confidence + weight(message, &text)).clamp(0.3, 0.95);
    Some(Sort { kind: rule.kind, confidence: (confidence * 100.0).round() / 100.0 })
}

/// Whether a text asks something.
pub(super) fn is_question(message: &SourceMessage) -> bool {
    let text = message.content.trim().to_lowercase();
    text.ends_with('?') || text.starts_with("question:") || text.contains("? ")
}

/// Whether a question is worth an answer later: it asks for a reason or how something works, and not who does it when.
pub(super) fn asks_for_knowledge(message: &SourceMessage) -> bool {
    const OPENERS: [&str; 12] = [
        "why",
        "how",
        "what happens",
        "what about",
        "does anyone know",
        "does that",
        "is that wanted",
        "is there",
        "чому",
        "як",
        "що буде",
        "навіщо",
    ];
    let text = message.content.to_lowercase();
    words::count(&text) >= 5 && words::first(&text, &OPENERS).is_some()
}

fn allows(rule: &Rule, text: &str) -> bool {
    let enough = words::count(text) >= if rule.kind == AtomKind::Solution { 1 } else { 4 };
    let well = rule.kind == AtomKind::Problem && words::first(text, &ALL_IS_WELL).is_some();
    // A question shows a problem at most.
    let asked = text.trim_end().ends_with('?') && rule.kind != AtomKind::Problem && rule.kind != AtomKind::Pattern;
    enough && !well && !asked
}

/// What else speaks for it: names of things, and enough words to stand alone.
fn weight(message: &SourceMessage, text: &str) -> f64 {
    let named = !words::tickets(&message.content).is_empty() || text.contains('`') || text.contains("http") || text.contains('_');
    let words = words::count(text);
    let length = match words {
        0..=4 => -0.14,
        5..=7 => -0.04,
        8..=11 => 0.0,
        _ => 0.04,
    };
    let doubt = if words::first(text, &["maybe", "i think", "perhaps", "можливо", "мабуть"]).is_some() {
        -0.12
    } else {
        0.0
    };
    let asked = if text.contains('?') { -0.1 } else { 0.0 };
    length + doubt + asked + if named { 0.05 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(content: &str) -> SourceMessage {
        SourceMessage { id: 1, author: "Ira".to_owned(), sent_at: chrono::DateTime::UNIX_EPOCH, content: content.to_owned() }
    }

    #[test]
    fn kinds_are_known_by_their_words() {
        for (content, kind) in [
            ("decision from it: we alert on queue age, not on single timeouts", Some(AtomKind::Decision)),
            ("bug: an empty file crashes the new parser, index out of bounds in header.rs", Some(AtomKind::Problem)),
            ("помилка у звіті за п'ятницю, час у місцевій зоні замість UTC", Some(AtomKind::Problem)),
            ("fixed in PR 1960, with a test for both zones", Some(AtomKind::Solution)),
            ("deadline for everything is tomorrow 12:00", Some(AtomKind::Requirement)),
            ("because quoted fields may contain it", Some(AtomKind::Insight)),
            ("4.18.0 is live on all nodes, no errors for ten minutes", None),
            ("lunch was too long, sorry, back now", None),
            ("ok", None),
        ] {
            assert_eq!(sort(&message(content)).map(|sort| sort.kind), kind, "{content}");
        }
    }
}
