//! Redaction: what is secret goes, JSON stays JSON, and once is enough. That it takes linear time is shown by the fuzzer's time limit:
//! the input is also looked at many times in a row.

use std::sync::LazyLock;

use serde_json::{Value, json, value::RawValue};
use taskscope_wire::{Attribution, EventKind, Finish, Json, RedactionRules, Source, TaskEvent, limits};

use crate::{
    now,
    redact::{MARKER, Redactor, Texts, preview},
};

/// The defaults, and the defaults with rules that people added.
static REDACTORS: LazyLock<[Redactor; 2]> = LazyLock::new(|| {
    let rules = RedactionRules {
        keys: vec!["customer number".to_owned(), "пароль".to_owned()],
        patterns: vec!["K-[0-9]+".to_owned()],
        exceptions: vec!["page_secret".to_owned()],
    };
    [RedactionRules::default(), rules].map(|rules| Redactor::new(&rules).unwrap_or_else(|error| panic!("{error}")))
});

/// The first byte says by which rules, and how often the rest is repeated; the rest is a text. Where it is large, the rest has rules, too.
pub fn check(input: &[u8]) {
    let Some((first, text)) = input.split_first() else { return };
    let redactor = &REDACTORS[usize::from(first & 1)];
    // Most inputs are looked at once.
    let times = if first % 16 == 0 { usize::from(first / 2).max(1) } else { 1 };
    let text = String::from_utf8_lossy(text).replace('\0', " ");
    if *first == 0xff {
        return custom(&text);
    }
    let text = text.repeat(times);
    let text = &text[..text.floor_char_boundary(limits::TEXT)];
    let once = redactor.line(text).into_owned();
    assert_eq!(redactor.line(&once), once, "{text:?} became {once:?}");
    if serde_json::from_str::<&RawValue>(text).is_ok() {
        assert!(serde_json::from_str::<&RawValue>(&once).is_ok(), "{text:?} became {once:?}");
    }
    named(redactor, text);
    event(redactor, text, &once);
}

/// The value of a secret name goes, whatever it is.
fn named(redactor: &Redactor, text: &str) {
    let value = serde_json::from_str::<Value>(text).unwrap_or_else(|_| Value::from(text));
    let object = json!({"before": 1, "user": [{"password": value, "kept": true}]}).to_string();
    let redacted: Value = serde_json::from_str(&redactor.line(&object)).unwrap_or_else(|error| panic!("{object}: {error}"));
    assert_eq!(redacted, json!({"before": 1, "user": [{"password": MARKER, "kept": true}]}), "{object}");
}

/// An event's texts become what they become one by one: the quick look at all of them at once misses none.
fn event(redactor: &Redactor, text: &str, once: &str) {
    let params = Json::parse(text.to_owned()).unwrap_or_else(|_| Json::string(text));
    let finish = Finish {
        failed: true,
        error_message: Some(text.to_owned()),
        error_traceback: Some(text.to_owned()),
        result: Some(params.clone()),
        ..Finish::default()
    };
    let event = TaskEvent {
        source: Source::Native,
        task_id: text.to_owned(),
        attribution: Attribution::Attempt(1),
        at: now(),
        task_name: Some(text.to_owned()),
        max_retries: None,
        queue: None,
        worker: None,
        labels: Some(params.clone()),
        params: Some(params),
        kind: EventKind::Finished(finish),
    };
    let mut events = [event];
    redactor.events(&mut events);
    let first = events.clone();
    redactor.events(&mut events);
    assert_eq!(events, first, "a second time");
    let [event] = first;
    assert_eq!((event.task_id.as_str(), event.task_name.as_deref()), (text, Some(text)), "names stay");
    assert_eq!(event.params, event.labels);
    let EventKind::Finished(finish) = event.kind else { panic!("it was finished") };
    assert_eq!(finish.result, event.params);
    assert_eq!((finish.error_message.as_deref(), finish.error_traceback.as_deref()), (Some(once), Some(once)));
    let texts = vec![("error_message", once.to_owned())];
    let seen = preview(redactor, &[Texts { id: 1, task_name: String::new(), texts }]);
    assert_eq!(seen.values, 0, "what was redacted holds {:?}", seen.found);
}

/// Whatever people give as rules is taken or refused with a reason.
fn custom(text: &str) {
    let mut lines = text.lines().map(str::to_owned);
    let (key, pattern, exception) = (lines.next(), lines.next(), lines.next());
    let rules = RedactionRules {
        keys: key.into_iter().collect(),
        patterns: pattern.into_iter().collect(),
        exceptions: exception.into_iter().collect(),
    };
    match Redactor::new(&rules) {
        Ok(redactor) => {
            let once = redactor.line(text).into_owned();
            assert_eq!(redactor.line(&once), once, "{rules:?}: {text:?} became {once:?}");
        }
        Err(error) => assert!(!error.reason.is_empty() && matches!(error.kind, "keys" | "patterns" | "exceptions"), "{error}"),
    }
}
