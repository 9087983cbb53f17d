//! The language in which the history is searched.

use taskscope_wire::{
    TaskStatus,
    search::{Expr, Known, Name, Search, Term, complete},
};

use crate::now;

/// The longest text of a search.
const LONGEST: usize = taskscope_wire::search::search_limits::TEXT;

/// The first byte is where the caret stands, the rest is the search.
pub fn check(input: &[u8]) {
    let Some((caret, text)) = input.split_first() else { return };
    let text = String::from_utf8_lossy(text);
    completions(&text, usize::from(*caret));
    let length = text.chars().count();
    match Search::parse(&text) {
        Ok(search) => parsed(&search),
        Err(error) => assert!(error.at + error.length <= length && !error.message.is_empty(), "{error:?} of {length}"),
    }
}

fn parsed(search: &Search) {
    let written = search.to_string();
    // Quotation marks and what stands before them may make it too long to be read again.
    if written.len() <= LONGEST {
        let again = Search::parse(&written);
        assert_eq!(again.as_ref(), Ok(search), "{written}");
    }
    terms(search.expr(), &mut |term| match term {
        Term::Created(range) => _ = range.bounds(now()),
        Term::Task(names) | Term::Worker(names) | Term::Queue(names) | Term::Id(names) => names.iter().for_each(glob),
        _ => {}
    });
    if let Some(simple) = search.simple() {
        for (name, status) in
            ["", "a", "ab", "score_task"].into_iter().flat_map(|name| TaskStatus::ALL.map(|status| (name, status)))
        {
            let matches = simple.matches_task(name) && simple.statuses().is_none_or(|statuses| statuses.contains(&status));
            assert_eq!(matches, holds(search.expr(), name, status), "{search} of {name:?}, {status}");
        }
    }
}

fn terms(expr: &Expr, tell: &mut dyn FnMut(&Term)) {
    match expr {
        Expr::All(parts) | Expr::Any(parts) => {
            assert!(parts.len() > 1, "a level that means nothing");
            parts.iter().for_each(|part| terms(part, tell));
        }
        Expr::Not(inner) => {
            assert!(!matches!(**inner, Expr::Not(_)), "twice turned round");
            terms(inner, tell);
        }
        Expr::Term(term) => tell(term),
    }
}

/// Whether a search for task types and statuses holds, by the letter.
fn holds(expr: &Expr, name: &str, status: TaskStatus) -> bool {
    match expr {
        Expr::All(parts) => parts.iter().all(|part| holds(part, name, status)),
        Expr::Any(parts) => parts.iter().any(|part| holds(part, name, status)),
        Expr::Not(inner) => !holds(inner, name, status),
        Expr::Term(Term::Task(names)) => names.iter().any(|one| one.matches(name)),
        Expr::Term(Term::Status(statuses)) => statuses.contains(&status),
        Expr::Term(term) => panic!("{term} isn't simple"),
    }
}

/// A pattern finds what a plain definition of patterns finds.
fn glob(name: &Name) {
    let Name::Glob(glob) = name else { return };
    let longer = format!("{}x", glob.replace('*', "*a"));
    for text in [glob.replace('*', ""), glob.replace('*', "ab"), longer, "abab".to_owned()] {
        assert_eq!(name.matches(&text), plainly(glob.as_bytes(), text.as_bytes()), "{glob} of {text}");
    }
}

fn plainly(glob: &[u8], text: &[u8]) -> bool {
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    for byte in glob {
        let before = std::mem::replace(&mut reached, vec![false; text.len() + 1]);
        for at in 0..=text.len() {
            reached[at] = match byte {
                b'*' => before[at] || (at > 0 && reached[at - 1]),
                byte => at > 0 && before[at - 1] && text[at - 1] == *byte,
            };
        }
    }
    reached[text.len()]
}

/// What is suggested stands within the text, and a name that is chosen is the name that is searched for.
fn completions(text: &str, caret: usize) {
    let name: String = text.chars().filter(|char| *char != '\0').take(100).collect();
    let names = vec![name.clone(), "score_task".to_owned()];
    let known = Known { task_names: names.clone(), workers: names.clone(), queues: names.clone(), param_keys: names };
    let found = complete(text, caret, &known);
    assert!(found.start <= found.end && found.end <= text.chars().count(), "{found:?}");
    let first: String =
        name.chars().take(1).filter(|char| !char.is_whitespace() && !matches!(char, '"' | '(' | ')' | ',' | ':')).collect();
    for item in complete(&format!("task:{first}"), 100, &known).items {
        let search = Search::parse(&format!("task:{}", item.text));
        let Ok(Expr::Term(Term::Task(chosen))) = search.as_ref().map(Search::expr) else {
            assert!(name.trim().is_empty(), "{item:?} gives {search:?}");
            continue;
        };
        let is_known = |chosen: &Name| matches!(chosen, Name::Exact(exact) if known.task_names.contains(exact));
        assert!(chosen.len() == 1 && chosen.iter().all(is_known), "{item:?} gives {chosen:?}");
    }
}
