use proptest::prelude::*;

use super::super::{Search, SearchError};

fn shown(text: &str) -> String {
    let search = Search::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let shown = search.to_string();
    assert_eq!(Search::parse(&shown), Ok(search), "{text} → {shown}");
    shown
}

fn refused(text: &str) -> SearchError {
    Search::parse(text).expect_err(text)
}

#[test]
fn a_search_has_one_way_to_be_written() {
    let cases = [
        ("  connection   refused ", "connection refused"),
        ("connection AND refused", "connection refused"),
        ("0f8fad5b-d9cb-469f-a165-70867728950e", "0f8fad5b-d9cb-469f-a165-70867728950e"),
        ("\"connection refused\"", "\"connection refused\""),
        (r#""a \"b\" \\ \n""#, r#""a \"b\" \\ \\n""#),
        ("aaa bbb OR ccc", "aaa bbb OR ccc"),
        ("aaa (bbb OR ccc)", "aaa (bbb OR ccc)"),
        ("(aaa bbb) (ccc)", "aaa bbb ccc"),
        ("aaa OR (bbb OR (ccc ddd))", "aaa OR bbb OR ccc ddd"),
        ("NOT status:failed", "-status:failed"),
        ("-(aaa OR bbb)", "-(aaa OR bbb)"),
        ("NOT -aaa", "aaa"),
        ("failed to connect", "failed \"to\" connect"),
        ("status:failed,running", "status:failed,running"),
        ("STATUS:failed", "status:failed"),
        ("task:score_*,app.tasks:add", "task:score_*,app.tasks:add"),
        ("task:\"a*,b\"", "task:\"a*,b\""),
        ("-queue:bulk", "-queue:bulk"),
        ("error:\"connection refused\"", "error:\"connection refused\""),
        ("id:0f8f*", "id:0f8f*"),
        ("params.message_id:42", "params.message_id:42"),
        ("params.a.0.b:\"42\",true,al*", "params.a.0.b:\"42\",true,al*"),
        ("params.n:>-1.5", "params.n:>-1.5"),
        ("params.n:1..5", "params.n:1..5"),
        ("params.n:1..x", "params.n:1..x"),
        ("duration:>2000ms", "duration:>2s"),
        ("duration:1.5s..2m", "duration:1500ms..2m"),
        ("duration:>=0s wait:<90m", "duration:>=0ms wait:<90m"),
        ("attempt:2", "attempt:2"),
        ("created:<1h", "created:<1h"),
        ("created:2026-11-01..2026-11-05", "created:2026-11-01..2026-11-05"),
        ("created:>=2026-11-01T10:30", "created:>=2026-11-01T10:30:00Z"),
        ("created:<2026-11-01T10:30Z", "created:<2026-11-01T10:30:00Z"),
        ("source:taskiq,sql is:stalled", "source:taskiq,sql is:stalled"),
    ];
    for (text, canonical) in cases {
        assert_eq!(shown(text), canonical, "{text}");
    }
}

#[test]
fn what_texts_hold_is_no_key() {
    for text in [
        "ValueError: x",
        "Error: no such file",
        "http://host/a",
        "localhost:5432",
        "app.tasks:add",
        "10:30:22",
        "c:\\temp",
        "f(a,b)",
        "{\"a\":1}",
    ] {
        let search = Search::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert!(search.simple().is_none() && search.required().all(|term| matches!(term, super::Term::Text(_))), "{search:?}");
    }
}

#[test]
fn errors_point_at_what_is_wrong() {
    let cases = [
        ("", 0, 0, "a term must stand here"),
        ("ab", 0, 2, "3 characters or more"),
        ("status:failed ab", 14, 2, "3 characters or more"),
        ("aaa (bb OR ccc)", 5, 2, "3 characters or more"),
        ("-ab", 0, 3, "3 characters or more"),
        ("aaa \"bbb", 4, 4, "not closed"),
        ("aaa (bbb", 4, 1, "not closed"),
        ("aaa) bbb", 3, 1, "closes none"),
        ("aaa OR", 6, 0, "a term must stand here"),
        ("OR aaa", 0, 1, "a term must stand here"),
        ("aaa OR OR bbb", 7, 1, "a term must stand here"),
        ("()", 1, 1, "a term must stand here"),
        ("aaa AND", 7, 0, "a term must stand here"),
        ("NOT", 3, 0, "a term must stand here"),
        ("aaa \"\"", 4, 2, "something to search for"),
        ("ééé stauts:failed", 4, 6, "none of the keys status, task,"),
        ("aaa\0", 3, 1, "NUL"),
        ("status:", 7, 0, "something to search for"),
        ("status:failed,", 14, 0, "something to search for"),
        ("status:failed,done", 14, 4, "must be pending, running, success or failed, not \"done\""),
        ("task:a,,b", 7, 0, "something to search for"),
        ("error:ab", 6, 2, "3 characters or more"),
        ("params:42", 0, 6, "params.message_id:42"),
        ("params.a..b:42", 0, 11, "params.message_id:42"),
        ("params.a:>x", 9, 2, "a number must stand after >"),
        ("params.a:1,>5", 11, 2, "alone"),
        ("duration:2", 9, 1, "ms, s, m, h or d"),
        ("duration:>", 9, 1, "ms, s, m, h or d"),
        ("duration:5s..1s", 9, 6, "smaller one first"),
        ("wait:>1y", 5, 3, "ms, s, m, h or d"),
        ("duration:>99999999h", 9, 10, "ms, s, m, h or d"),
        ("attempt:0", 8, 1, "whole number from 1"),
        ("created:1h", 8, 2, "before an age"),
        ("created:>yesterday", 8, 10, "2026-11-21"),
        ("created:1h..2026-11-01", 8, 14, "two ages or two times"),
        ("source:grpc", 7, 4, "native, taskiq or sql"),
        ("is:late", 3, 4, "stalled or retried"),
        ("------aaa", 5, 1, "at most 5"),
    ];
    for (text, at, length, message) in cases {
        let error = refused(text);
        assert_eq!((error.at, error.length), (at, length), "{text}: {error}");
        assert!(error.message.contains(message), "{text}: {error}");
    }
    let many = "abc ".repeat(21);
    assert!(refused(&many).at == 80 && refused(&many).message.contains("at most 20 terms"));
    let long = format!("é{}", "a".repeat(1024));
    assert_eq!((refused(&long).at, refused(&long).length), (1023, 2));
}

/// Texts of pieces that mean something, in any order.
fn pieces() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "status:",
        "failed",
        ",",
        "task:",
        "a*b",
        "params.",
        "x.y",
        ":",
        "42",
        ">",
        "<=",
        "..",
        "duration:",
        "2s",
        "1.5h",
        "created:",
        "2026-11-01",
        "2026-11-01T10:30:00+02:00",
        "error:",
        "wait:",
        "attempt:",
        "is:",
        "retried",
        "source:",
        "sql",
        "id:",
        "\"",
        "\\",
        "(",
        ")",
        "-",
        "NOT ",
        " OR ",
        " AND ",
        " ",
        "refused",
        "to",
        "é",
        "*",
        "null",
        "1e5",
        "-7",
    ]);
    prop::collection::vec(words, 0..14).prop_map(|words| words.concat())
}

fn check(text: &str) -> Result<(), TestCaseError> {
    match Search::parse(text) {
        Ok(search) => {
            let shown = search.to_string();
            prop_assert_eq!(Search::parse(&shown), Ok(search), "{} → {}", text, shown);
        }
        Err(error) => {
            let length = text.chars().count();
            prop_assert!(error.at + error.length <= length, "{text}: {error:?}");
            prop_assert!(!error.message.is_empty());
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_text_is_a_search_or_an_error_in_it(text in "\\PC{0,60}") {
        check(&text)?;
    }

    #[test]
    fn pieces_are_a_search_or_an_error_in_it(text in pieces()) {
        check(&text)?;
    }
}
