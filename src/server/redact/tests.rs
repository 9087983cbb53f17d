//! What is redacted, what stays, and what holds of any value.

use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value, json};
use taskscope_wire::{EventKind, Json, NativeEvent, RedactionRules, TaskEvent};

use super::*;

const JWT: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c";
const PEM: &str = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7\n-----END RSA PRIVATE KEY-----";

fn redactor() -> &'static Redactor {
    static REDACTOR: LazyLock<Redactor> = LazyLock::new(|| Redactor::new(&RedactionRules::default()).unwrap());
    &REDACTOR
}

fn with(keys: &[&str], patterns: &[&str], exceptions: &[&str]) -> Result<Redactor, InvalidRule> {
    let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
    Redactor::new(&RedactionRules { keys: owned(keys), patterns: owned(patterns), exceptions: owned(exceptions) })
}

fn value(redactor: &Redactor, json: &str) -> Value {
    serde_json::from_str(&redactor.line(json)).unwrap()
}

#[test]
fn texts_lose_their_secrets_and_keep_the_rest() {
    let aws = ["AKIA", "IOSFODNN7EXAMPLE"].concat();
    let stripe = ["sk_live", "_4eC39HqLyjWDarjtT1zdp7dc"].concat();
    let telegram = ["1234567890:AA", &"a1_".repeat(11)].concat();
    let cases = [
        ("login failed for password=hunter2, again".to_owned(), "login failed for password=[redacted], again"),
        ("password: hunter2".to_owned(), "password: [redacted]"),
        ("Password => 'hun ter2' was wrong".to_owned(), "Password => '[redacted]' was wrong"),
        ("{'user': 'ada', 'password': 'hunt\\'er2'}".to_owned(), "{'user': 'ada', 'password': '[redacted]'}"),
        (r#"body={\"password\": \"hunter2\", \"n\": 1}"#.to_owned(), r#"body={\"password\": \"[redacted]\", \"n\": 1}"#),
        ("connect(host='db', db_password=b'hunter2')".to_owned(), "connect(host='db', db_password=b'[redacted]')"),
        ("GET /x?api_key=hunter2&page=2".to_owned(), "GET /x?api_key=[redacted]&page=2"),
        ("Authorization: Bearer abc.def-123\nHost: x".to_owned(), "Authorization: [redacted]\nHost: x"),
        ("sent Bearer abcdef123456 to x".to_owned(), "sent Bearer [redacted] to x"),
        ("Cookie: a=b; c=d\nnext".to_owned(), "Cookie: [redacted]\nnext"),
        ("token: Bearer abc, n".to_owned(), "token: [redacted], n"),
        ("credentials={'a': {'b': 1}} kept".to_owned(), "credentials=[redacted] kept"),
        (format!("jwt {JWT}!"), "jwt [redacted]!"),
        (format!("key\n{PEM}\nend"), "key\n[redacted]\nend"),
        ("cut -----BEGIN PRIVATE KEY-----\nMIIE".to_owned(), "cut [redacted]"),
        (format!("with {aws}."), "with [redacted]."),
        (format!("with ghp_{}", "a1".repeat(18)), "with [redacted]"),
        (format!("with github_pat_{}", "a1".repeat(18)), "with [redacted]"),
        (format!("with xoxb-{}", "1234567890-abc"), "with [redacted]"),
        (format!("with sk-{}", "proj-a1b2c3d4e5f6g7h8i9j0"), "with [redacted]"),
        (
            format!("GET https://api.telegram.org/bot{telegram}/getUpdates"),
            "GET https://api.telegram.org/bot[redacted]/getUpdates",
        ),
        (format!("with {stripe}"), "with [redacted]"),
        ("postgres://ada:hunter2@db:5432/app".to_owned(), "postgres://ada:[redacted]@db:5432/app"),
        ("redis://:hunter2@cache/0 down".to_owned(), "redis://:[redacted]@cache/0 down"),
        ("paid with 4111 1111 1111 1111.".to_owned(), "paid with [redacted]."),
        ("paid with 4111111111111111 and 378282246310005".to_owned(), "paid with [redacted] and [redacted]"),
    ];
    for (text, wanted) in cases {
        assert_eq!(redactor().line(&text), wanted, "{text}");
    }
}

#[test]
fn what_is_no_secret_stays() {
    let texts = [
        "No messages provided for extraction",
        "KeyError: 'author'",
        "token_count=42, max_tokens: 4096, tokens_used=17",
        "the primary_key: 17 of authors=3",
        "password: None, secret=null, token is missing",
        "basic authentication and bearer authentication failed",
        "2026-11-22T10:30:00.123456Z took 320ms, at 1795257000123456, 1795257000123456789, 2026-11-22 10:30:00 - 2026-11-22 10:31:00",
        "0f8fad5b-d9cb-469f-a165-70867728950e and 12345678-1234-1234-1234-123456789012",
        "dafef73dd65d4b6b83c65bae6571feb9 d41d8cd98f00b204e9800998ecf8427e 4111111111111112",
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "0.4111111111111111 and 4111111111111111.5 and x4111111111111111",
        "http://example.com:8080/path?email=ada@example.com and https://example.com/a:b@c",
        "task-disk-risk-averse-0123456789-0123456789",
        "sk-learn-classification-model is a package",
        "Asia/Tokyo and eyJust a word",
        r#"File "app/tasks.py", line 73, in tokenize"#,
        "[1, 2, 3]",
    ];
    for text in texts {
        assert_eq!(redactor().line(text), text);
    }
}

#[test]
fn json_loses_the_values_of_secret_names_at_any_depth() {
    let json = r#" {"a": [{"b": {"userPassword": {"x": [1, "}"]}, "n": 1180591620717411303424}}], "token" :  "t" , "token_count": 0.10, "cvv": 123,
        "api-key": null, "text": "password=x \u00e9", "card": 4111111111111111, "id": 1795257000123456} "#;
    let wanted = r#" {"a": [{"b": {"userPassword": "[redacted]", "n": 1180591620717411303424}}], "token" :  "[redacted]" , "token_count": 0.10, "cvv": "[redacted]",
        "api-key": "[redacted]", "text": "password=[redacted] é", "card": "[redacted]", "id": 1795257000123456} "#;
    assert_eq!(redactor().line(json), wanted);
}

#[test]
fn escapes_hide_nothing() {
    let cases = [
        r#"{"\u0070assword": "hunter2"}"#,
        r#"{"p\u0061ssword": "hunter2"}"#,
        r#"{"PA\u0053\u0053WORD": "hunter2"}"#,
        r#"{"url": "postgres:\/\/ada:hunter2@db"}"#,
        r#"{"url": "postgres:\u002f\u002fada:hunter2@db"}"#,
        r#"{"text": "p\u0061ssword=hunter2"}"#,
        r#"{"body": "{\"password\": \"hunter2\"}"}"#,
        r#"{"body": "{\"p\\u0061ssword\": \"hunter2\"}"}"#,
        r#"{"body": "[{\"body\": \"{\\\"password\\\": \\\"hunter2\\\"}\"}]"}"#,
        r#"["password=\"hunter2\""]"#,
        r#"["password=hunt\u0065r2hunter2"]"#,
    ];
    for json in cases {
        let event = event(&json!({"type": "task_started", "params": 1}), json);
        let redacted = event.params.unwrap();
        assert!(!redacted.as_str().contains("hunter2") && redacted.as_str().contains(MARKER), "{json}: {redacted:?}");
        serde_json::from_str::<Value>(redacted.as_str()).unwrap();
    }
}

/// A redacted event with these params.
fn event(fields: &Value, params: &str) -> TaskEvent {
    let mut fields = fields.clone();
    fields.as_object_mut().unwrap().extend([
        ("task_id".to_owned(), json!("1")),
        ("task_name".to_owned(), json!("t")),
        ("timestamp".to_owned(), json!("2026-11-21T10:30:00Z")),
    ]);
    let mut event = NativeEvent::decode(&fields.to_string(), chrono::Utc::now() + chrono::TimeDelta::days(9999)).unwrap();
    event.params = Some(Json::parse(params.to_owned()).unwrap());
    redactor().events(std::slice::from_mut(&mut event));
    event
}

#[test]
fn every_text_of_an_event_is_looked_at_and_names_are_not() {
    let fields = json!({
        "type": "task_failed", "queue": "password=q", "worker": "password=w", "labels": {"token": "hunter2", "_retries": 1},
        "error_message": "password=hunter2", "error_traceback": format!("at x\n{JWT}"), "result": {"secret": "hunter2"}, "error_type": "KeyError",
    });
    let event = event(&fields, r#"{"password": "hunter2"}"#);
    assert_eq!((event.queue.as_deref(), event.worker.as_deref()), (Some("password=q"), Some("password=w")));
    assert_eq!(event.labels.as_ref().unwrap().as_str(), r#"{"_retries":1,"token":"[redacted]"}"#);
    let EventKind::Finished(finish) = &event.kind else { panic!("finished") };
    assert_eq!(finish.error_message.as_deref(), Some("password=[redacted]"));
    assert_eq!(finish.error_traceback.as_deref(), Some("at x\n[redacted]"));
    assert!(!serde_json::to_string(&event).unwrap().contains("hunter2"));
}

#[test]
fn rules_can_be_added() {
    let own = with(&["customer_number", "pin"], &[r"K-\d{4}", r"ticket (\w+)", "^whole$", "^42$"], &["page token", "password"])
        .unwrap();
    let json = r#"{"customerNumber": 7, "old": "K-4711!", "say": "ticket abc for", "a": "whole", "b": "a whole", "n": 42, "m": 421,
        "page_token": "x", "password": "kept", "password2": "gone"}"#;
    let wanted = json!({"customerNumber": MARKER, "old": "[redacted]!", "say": "ticket [redacted] for", "a": MARKER, "b": "a whole", "n": MARKER,
        "m": 421, "page_token": "x", "password": "kept", "password2": MARKER});
    assert_eq!(value(&own, json), wanted);
    let other = with(&["пароль"], &[], &[]).unwrap();
    assert_eq!(
        value(&other, r#"{"\u041f\u0430\u0440\u043e\u043b\u044c": 1, "x": "пароль=1"}"#),
        json!({"Пароль": MARKER, "x": "пароль=[redacted]"})
    );
}

#[test]
fn rules_that_can_t_hold_are_named_with_the_reason() {
    let cases = [
        (with(&[], &["fine", "(open"], &[]), "patterns: \"(open\" is no regular expression: unclosed group"),
        (with(&[], &["a*"], &[]), "patterns: \"a*\" matches an empty text"),
        (with(&[], &[r"(?:\w{1000}){1000}"], &[]), "is too large when it is compiled"),
        (with(&[], &[&"(".repeat(100)], &[]), "patterns"),
        (with(&[], &[&"x".repeat(501)], &[]), "is too long: at most 500 bytes, not 501"),
        (with(&["-"], &[], &[]), "keys: \"-\" must have two letters"),
        (with(&["key"; 101], &[], &[]), "at most 100 can be given, not 101"),
    ];
    for (made, wanted) in cases {
        let said = made.unwrap_err().to_string();
        assert!(said.contains(wanted), "{said}");
    }
}

#[test]
fn a_pattern_can_t_take_the_marker_apart_or_go_on_for_ever() {
    for pattern in [".", "redacted", r"\[", ".+", "[a-z]", "e"] {
        let own = with(&[], &[pattern], &[]).unwrap();
        let once = own.line("password=x, some text").into_owned();
        assert!(once.len() < 200, "{pattern}: {once}");
        assert_eq!(own.line(&once), once, "{pattern}");
    }
    assert_eq!(Redactor::blind().unwrap().line("password=x"), "password=x");
}

/// JSON whose names and texts may be secret.
fn any_json() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        Just("password".to_owned()),
        Just("apiKey".to_owned()),
        Just("token_count".to_owned()),
        Just("password=x y".to_owned()),
        Just("https://a:b@c".to_owned()),
        Just("4111111111111111".to_owned()),
        Just("Bearer abc123456".to_owned()),
        Just(JWT.to_owned()),
        Just("{\"token\": [1]}".to_owned()),
        Just(MARKER.to_owned()),
        "[a-zäк \"\\\\\n:=]{0,8}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        word.clone().prop_map(Value::from)
    ];
    leaf.prop_recursive(6, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(word.clone(), inner, 0..6).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Whether `after` is `before` without its secrets, each found by walking the values instead of the text.
fn is_redacted(before: &Value, after: &Value, names: &Names) -> Result<(), String> {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            // Two names that both become the marker are one.
            let plain = before.keys().filter(|name| redactor().line(name) == name.as_str() && *name != MARKER);
            for name in plain {
                let new = after.get(name).ok_or_else(|| format!("{name} is gone"))?;
                match names.secret(name) {
                    Some(_) if new == MARKER => {}
                    Some(_) => return Err(format!("{name} still has {new}")),
                    None => is_redacted(&before[name], new, names)?,
                }
            }
            Ok(())
        }
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            before.iter().zip(after).try_for_each(|(before, after)| is_redacted(before, after, names))
        }
        (Value::String(before), Value::String(after)) if redactor().line(before) == after.as_str() => Ok(()),
        (before, after) if before == after => Ok(()),
        _ => Err(format!("{before} became {after}")),
    }
}

proptest! {
    #[test]
    fn json_stays_json_and_only_secrets_go(before in any_json()) {
        let redactor = redactor();
        for text in [before.to_string(), serde_json::to_string_pretty(&before).unwrap()] {
            let once = redactor.line(&text).into_owned();
            let after: Value = serde_json::from_str(&once).unwrap();
            if before.is_array() || before.is_object() {
                let names = Names::new(&[], &[]).unwrap();
                prop_assert_eq!(is_redacted(&before, &after, &names), Ok(()));
            }
            prop_assert_eq!(redactor.line(&once), once.clone(), "again: {}", text);
        }
    }

    #[test]
    fn texts_are_survived_and_once_is_enough(text in "(password|token|Bearer |eyJ|://|[ -~é\n\\\\\"'=:@]){0,24}") {
        let redactor = redactor();
        let once = redactor.line(&text).into_owned();
        prop_assert_eq!(redactor.line(&once), once.clone(), "{}", text);
    }

    #[test]
    fn the_quick_look_misses_nothing(before in any_json()) {
        let redactor = redactor();
        let text = before.to_string();
        let lower = text.to_ascii_lowercase();
        prop_assert!(redactor.quick.hits(lower.as_bytes()) || redactor.line(&text) == text, "{}", text);
    }
}
