use super::{Flag, KEYS, write::is_plain_value};
use crate::TaskStatus;

/// The most suggestions at once.
const MOST: usize = 12;

/// What is known to be in the log, to choose from.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Known {
    /// Task types.
    pub task_names: Vec<String>,
    /// Workers.
    pub workers: Vec<String>,
    /// Queues.
    pub queues: Vec<String>,
    /// Paths into params, such as `user.name`.
    pub param_keys: Vec<String>,
}

/// What may be written at a place of a search.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Completions {
    /// The first character that is replaced, from 0.
    pub start: usize,
    /// The first after them that is not.
    pub end: usize,
    /// What may stand there, the likeliest first.
    pub items: Vec<Completion>,
}

/// One thing that may be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// The text.
    pub text: String,
    /// What it means, where the text alone doesn't say.
    pub hint: &'static str,
    /// Whether a term is whole with it; otherwise a value must follow.
    pub is_whole: bool,
}

/// What may be written in a search where the caret stands (in characters).
#[must_use]
pub fn complete(text: &str, caret: usize, known: &Known) -> Completions {
    let chars: Vec<char> = text.chars().collect();
    let caret = caret.min(chars.len());
    let Some(start) = start_of_term(&chars[..caret]) else {
        return Completions { start: caret, end: caret, items: Vec::new() };
    };
    let typed: String = chars[start..caret].iter().collect();
    let after = |ends: &[char]| chars[caret..].iter().take_while(|char| !char.is_whitespace() && !ends.contains(char)).count();
    match typed.split_once(':') {
        None => {
            let end = caret + after(&[')', ':']);
            let colon = usize::from(chars.get(end) == Some(&':'));
            Completions { start, end: end + colon, items: keys(&typed, known) }
        }
        Some((key, values)) => {
            let last = values.rsplit(',').next().unwrap_or_default();
            let start = caret - last.chars().count();
            Completions { start, end: caret + after(&[')', ',']), items: values_of(key, last.trim_start_matches('"'), known) }
        }
    }
}

/// Where the term begins that ends at the end of this; none within a phrase that belongs to no key.
fn start_of_term(before: &[char]) -> Option<usize> {
    let mut start = 0;
    let mut quote = None;
    for (at, char) in before.iter().enumerate() {
        match char {
            '"' if quote.is_some() => quote = None,
            '"' => quote = Some(at),
            _ if quote.is_some() => {}
            '(' => start = at + 1,
            '-' if at == start => start = at + 1,
            _ if char.is_whitespace() => start = at + 1,
            _ => {}
        }
    }
    (quote != Some(start)).then_some(start)
}

fn keys(typed: &str, known: &Known) -> Vec<Completion> {
    if let Some(path) = typed.strip_prefix("params.") {
        let begins = known.param_keys.iter().filter(|key| starts_with(key, path));
        return begins.take(MOST).map(|key| unfinished(format!("params.{key}:"), "")).collect();
    }
    let begins = KEYS.iter().filter(|key| starts_with(key.word, typed));
    begins.map(|key| unfinished(format!("{}{}", key.word, if key.word == "params" { '.' } else { ':' }), key.finds)).collect()
}

fn values_of(key: &str, typed: &str, known: &Known) -> Vec<Completion> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let values: Vec<String> = match key.to_ascii_lowercase().as_str() {
        "status" => TaskStatus::ALL.map(|status| status.as_str().to_owned()).into(),
        "is" => Flag::ALL.map(|flag| flag.as_str().to_owned()).into(),
        "source" => words(&["native", "taskiq", "sql"]),
        "task" => known.task_names.clone(),
        "worker" => known.workers.clone(),
        "queue" => known.queues.clone(),
        "duration" | "wait" => words(&[">1s", ">10s", ">1m", "<100ms", "1s..5s"]),
        "attempt" => words(&[">1", "1"]),
        "created" => words(&["<1h", "<24h", "<7d"]),
        _ => Vec::new(),
    };
    // Those that begin so, then those that only hold it.
    let (begin, rest): (Vec<_>, Vec<_>) = values.into_iter().partition(|value| starts_with(value, typed));
    let hold = rest.into_iter().filter(|value| value.to_lowercase().contains(&typed.to_lowercase()));
    let is_name = matches!(key.to_ascii_lowercase().as_str(), "task" | "worker" | "queue");
    begin.into_iter().chain(hold).take(MOST).map(|value| whole(value, is_name)).collect()
}

fn starts_with(word: &str, typed: &str) -> bool {
    word.to_lowercase().starts_with(&typed.to_lowercase())
}

fn unfinished(text: String, hint: &'static str) -> Completion {
    Completion { text, hint, is_whole: false }
}

/// A name is quoted where the search would read it as something else; other values are written as they are.
fn whole(value: String, is_name: bool) -> Completion {
    let text = if !is_name || is_plain_value(&value) {
        value
    } else {
        format!("\"{}\"", value.replace('\\', r"\\").replace('"', "\\\""))
    };
    Completion { text, hint: "", is_whole: true }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::Search, *};

    fn known() -> Known {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Known {
            task_names: names(&["embed_task", "score_task", "rescore", "odd \"name\"", "<lambda> 1"]),
            workers: names(&["web-1:41"]),
            queues: names(&["bulk", "default"]),
            param_keys: names(&["message_id", "user.name"]),
        }
    }

    /// The caret stands where the bar is.
    fn completed(text: &str) -> (String, Vec<String>) {
        let (before, after) = text.split_once('|').unwrap();
        let text = format!("{before}{after}");
        let found = complete(&text, before.chars().count(), &known());
        let replaced = text.chars().skip(found.start).take(found.end - found.start).collect();
        (replaced, found.items.into_iter().map(|item| item.text).collect())
    }

    #[test]
    fn keys_and_values_are_completed_where_the_caret_stands() {
        let cases = [
            ("st|", "st", vec!["status:"]),
            ("refused -qu|", "qu", vec!["queue:"]),
            ("(w|) status:failed", "w", vec!["worker:", "wait:"]),
            ("status:|", "", vec!["pending", "running", "success", "failed"]),
            ("status:fa|iled", "failed", vec!["failed"]),
            ("status:failed,r|", "r", vec!["running"]),
            ("task:score|", "score", vec!["score_task", "rescore"]),
            ("task:odd|", "odd", vec!["\"odd \\\"name\\\"\""]),
            ("task:\"odd |", "\"odd ", vec!["\"odd \\\"name\\\"\""]),
            ("task:<|", "<", vec!["\"<lambda> 1\""]),
            ("duration:<|", "<", vec!["<100ms"]),
            ("param|", "param", vec!["params."]),
            ("params.|", "params.", vec!["params.message_id:", "params.user.name:"]),
            ("params.us|:x", "params.us:", vec!["params.user.name:"]),
            ("queue:x|", "x", vec![]),
            ("worker:|", "", vec!["web-1:41"]),
            ("\"sta|", "", vec![]),
            ("é \"a b\" is:s|", "s", vec!["stalled"]),
        ];
        for (text, replaced, items) in cases {
            let found = completed(text);
            assert_eq!(found.1, items, "{text}");
            if !items.is_empty() {
                assert_eq!(found.0, replaced, "{text}");
            }
        }
        assert_eq!(completed("|").1.len(), KEYS.len());
    }

    #[test]
    fn every_example_is_a_search() {
        for key in KEYS {
            assert!(Search::parse(key.example).is_ok(), "{}", key.example);
        }
    }

    proptest! {
        #[test]
        fn what_is_replaced_is_in_the_text(text in "[a-z:,\"( )é.-]{0,30}", caret in 0_usize..40) {
            let found = complete(&text, caret, &known());
            prop_assert!(found.start <= found.end && found.end <= text.chars().count());
        }
    }
}
