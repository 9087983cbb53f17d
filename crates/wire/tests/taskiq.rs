//! What TaskIQ's stock middlewares send, byte for byte (`fixtures/taskiq`), and what it must mean.

use std::{fs, path::PathBuf};

use chrono::{DateTime, Utc};
use taskscope_wire::{
    Attribution, EventKind, Finish, Source, TaskEvent, clean, limits,
    taskiq::{Step, decode, split_path, stored_counters},
    time,
};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/taskiq")
}

fn at(text: &str) -> DateTime<Utc> {
    time::parse(text).unwrap_or_else(|| panic!("{text} is a time"))
}

/// Decodes a fixture as the server does; its name tells the step.
fn event(name: &str) -> TaskEvent {
    let body = fs::read(folder().join(format!("{name}.json"))).unwrap_or_else(|error| panic!("{name}: {error}"));
    let word = name.split('-').find(|word| matches!(*word, "queued" | "started" | "executed"));
    let path = format!("order/42 x/{}", word.unwrap_or_else(|| panic!("{name} names no step")));
    let (task_id, step) = split_path(&path).unwrap_or_else(|error| panic!("{error}"));
    decode(task_id, step, &clean(&body), at("2026-11-22T12:00:00")).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn finish(name: &str) -> Finish {
    let event = event(name);
    assert_eq!((event.attribution, event.task_name, event.params), (Attribution::Unknown, None, None), "{name}");
    let EventKind::Finished(finish) = event.kind else { panic!("{name} is finished") };
    finish
}

fn params(name: &str) -> Option<String> {
    event(name).params.map(|params| params.as_str().to_owned())
}

fn result(name: &str) -> Option<String> {
    finish(name).result.map(|result| result.as_str().to_owned())
}

const fn counters(retries: i32, requeues: i32) -> Attribution {
    Attribution::Counters { retries, requeues }
}

#[test]
fn every_fixture_is_decoded() {
    let mut count = 0;
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        event(path.file_stem().unwrap().to_str().unwrap());
        count += 1;
    }
    assert!(count >= 30, "{count} fixtures");
}

#[test]
fn queued_and_started_carry_name_params_labels_and_worker() {
    for (name, kind, time) in [
        ("queued", EventKind::Queued, "2026-11-21T23:16:57.934264Z"),
        ("started", EventKind::Started, "2026-11-21T23:16:57.934364Z"),
    ] {
        let event = event(name);
        assert_eq!((event.source, event.task_id.as_str()), (Source::Taskiq, "order/42 x"));
        assert_eq!((event.kind, event.at, event.attribution), (kind, at(time), counters(0, 0)));
        assert_eq!(event.task_name.as_deref(), Some("app.tasks:add"));
        assert_eq!(event.worker.as_deref(), Some("mybroker"));
        assert_eq!((event.max_retries, event.queue), (None, None));
        assert_eq!(params(name).as_deref(), Some(r#"{"args":[2],"kwargs":{"b": 40}}"#));
        assert!(event.labels.unwrap().as_str().contains(r#""team": "ops""#));
    }
}

#[test]
fn keyword_arguments_alone_are_the_params() {
    assert_eq!(params("dashboard-queued").as_deref(), Some(r#"{"message_ids":[1,2],"provider_id":"openai"}"#));
    assert_eq!(event("dashboard-queued").worker.as_deref(), Some("default_broker"));
}

#[test]
fn executed_says_success_or_the_error() {
    let success = finish("executed");
    assert_eq!((success.failed, success.duration_ms, success.error_message), (false, Some(0), None));
    assert_eq!(event("executed").at, at("2026-11-21T23:16:57.934602Z"));
    assert_eq!(result("executed").as_deref(), Some("42"));

    for name in ["executed-failed", "dashboard-executed-failed"] {
        let failure = finish(name);
        assert_eq!((failure.failed, failure.error_message.as_deref()), (true, Some(r#"ValueError("bad 'x' жлоб")"#)), "{name}");
        assert_eq!(failure.error_traceback, None);
    }
}

#[test]
fn a_result_of_any_type_is_kept_as_it_was_sent() {
    for (name, text) in [
        ("integer", "42"),
        ("fraction", "1.5"),
        ("boolean", "true"),
        ("text", r#""text""#),
        ("null", "null"),
        ("object", r#"{"success": 1, "skipped": 0}"#),
    ] {
        let name = format!("result-executed-{name}");
        assert_eq!(result(&name).as_deref(), Some(text));
        assert_eq!((finish(&name).failed, finish(&name).duration_ms), (false, Some(320)));
    }
}

#[test]
fn numbers_beyond_64_bits_keep_their_digits() {
    assert_eq!(
        params("encoding-started-big-integer").as_deref(),
        Some(r#"{"args":[1180591620717411303424, 0.30000000000000004],"kwargs":{"None": -1180591620717411303424}}"#)
    );
}

#[test]
fn what_postgres_refuses_becomes_visible_text() {
    assert_eq!(params("encoding-started-nul").as_deref(), Some(r#"{"args":["a\\u0000b"],"kwargs":{"k\\u0000": "\\u0000"}}"#));
    assert_eq!(event("encoding-started-nul").labels.unwrap().as_str(), r#"{"l": "\\u0000"}"#);
    assert_eq!(params("encoding-started-lone-surrogate").as_deref(), Some(r#"{"args":["\\ud800", "\ud83d\ude00"],"kwargs":{}}"#));
    assert_eq!(finish("encoding-executed-error-nul").error_message.as_deref(), Some(r"ValueError(\u0000\ud800)"));
}

#[test]
fn bare_nan_and_infinity_are_null() {
    let finish = finish("encoding-executed-nan");
    assert_eq!((finish.failed, finish.duration_ms), (false, None));
    assert_eq!(finish.result.unwrap().as_str(), r#"[null, null, null, "NaN"]"#);
}

#[test]
fn a_worker_may_be_null() {
    assert_eq!(event("encoding-started-nul").worker, None);
}

#[test]
fn times_without_an_offset_are_utc_with_or_without_a_fraction() {
    assert_eq!(event("no-fraction-queued").at.to_rfc3339(), "2026-11-21T23:16:57+00:00");
    assert_eq!(event("no-fraction-executed").at.to_rfc3339(), "2026-11-21T23:16:58+00:00");
    assert_eq!(event("queued").at.to_rfc3339(), "2026-11-21T23:16:57.934264+00:00");
}

#[test]
fn retries_are_counted_by_labels_that_are_text_in_queued_and_numbers_in_started() {
    const HIDDEN: Option<&str> = Some("taskiq.exceptions.NoResultError()");
    let attempt = |name: &str| {
        let event = event(name);
        assert_eq!(event.max_retries, Some(3), "{name}");
        (event.attribution, stored_counters(event.labels.as_ref()))
    };
    for (name, retries) in [
        ("retry-1-queued", 0),
        ("retry-2-started", 0),
        ("retry-3-queued", 1),
        ("retry-5-started", 1),
        ("retry-6-queued", 2),
        ("retry-8-started", 2),
    ] {
        assert_eq!(attempt(name), (counters(retries, 0), (retries, 0)), "{name}");
    }
    for (name, error) in
        [("retry-4-executed", HIDDEN), ("retry-7-executed", HIDDEN), ("retry-9-executed", Some("ValueError('bad')"))]
    {
        let finish = finish(name);
        assert_eq!((finish.failed, finish.error_message.as_deref()), (true, error), "{name}");
    }
    let times: Vec<_> = (1..=9)
        .zip(["queued", "started", "queued", "executed", "started", "queued", "executed", "started", "executed"])
        .map(|(number, step)| event(&format!("retry-{number}-{step}")).at)
        .collect();
    assert!(times.is_sorted(), "the next attempt is queued before the one before it is executed");
}

#[test]
fn requeues_are_counted_apart_from_retries() {
    assert_eq!(event("requeue-started").attribution, counters(0, 2));
}

#[test]
fn labels_that_are_too_long_to_be_kept_are_still_counted_by() {
    let long = |value: &str| {
        let labels = format!(r#"{{"text": "{}", "_retries": "2", "X-Taskiq-requeue": 1}}"#, value.repeat(limits::JSON));
        let body = format!(r#"{{"taskName": "t", "startedAt": "2026-11-21T10:00:00", "labels": {labels}}}"#);
        decode("1", Step::Started, &body, at("2026-11-22T12:00:00")).unwrap()
    };
    for event in ["a", r"\u0001", "é", r"\n"].map(long) {
        assert_eq!((event.attribution, stored_counters(event.labels.as_ref())), (counters(2, 1), (2, 1)));
        let labels = event.labels.unwrap();
        assert!(labels.as_str().len() <= limits::JSON && labels.as_str().contains("(cut: "), "{} bytes", labels.as_str().len());
    }
}

#[test]
fn older_copies_lack_labels_and_send_results_raw() {
    let started = event("old-started");
    assert_eq!((started.labels, started.worker.as_deref()), (None, Some("WIP")));
    assert_eq!((started.attribution, started.at), (counters(0, 0), at("2024-12-11T10:00:00.000001Z")));
    assert_eq!(params("old-started").as_deref(), Some(r#"{"args":[1],"kwargs":{}}"#));
    assert_eq!(params("old-queued").as_deref(), Some(r#"{"a": 1}"#));
    assert_eq!(result("old-executed-raw").as_deref(), Some(r#"{"sum": 3}"#));
    assert_eq!(finish("old-executed-raw").duration_ms, Some(1500));
    let failed = finish("old-executed-raw-null");
    assert_eq!((failed.failed, failed.result, failed.error_message.as_deref()), (true, None, Some("KeyError(1)")));
}

#[test]
fn a_path_ends_in_the_step_and_any_id_stands_before_it() {
    assert_eq!(split_path("dafef73dd65d4b6b83c65bae6571feb9/queued"), Ok(("dafef73dd65d4b6b83c65bae6571feb9", Step::Queued)));
    assert_eq!(split_path("order-42/started"), Ok(("order-42", Step::Started)));
    assert_eq!(split_path("order/42 x/executed"), Ok(("order/42 x", Step::Executed)));
    assert_eq!(split_path("queued/queued"), Ok(("queued", Step::Queued)));
    assert_eq!(split_path("a//started"), Ok(("a/", Step::Started)));
}

#[test]
fn a_path_that_is_none_says_what_is_allowed() {
    // An id with a question mark or a hash loses its end on the way.
    for path in ["order/42 x", "dafef73dd65d4b6b83c65bae6571feb9", "queued", "a/finished", ""] {
        assert!(split_path(path).unwrap_err().contains("/queued, /started or /executed"), "{path}");
    }
    assert!(split_path("{message.task_id}/queued").unwrap_err().contains("f-string"));
    for (path, step) in [("/queued", Step::Queued), ("/executed", Step::Executed)] {
        let (task_id, _) = split_path(path).unwrap();
        assert!(
            decode(task_id, step, r#"{"queuedAt": "2026-11-21", "finishedAt": "2026-11-21", "taskName": "t"}"#, at("2026-11-22"))
                .is_err()
        );
    }
}

#[test]
fn a_body_that_is_wrong_names_the_field() {
    for (step, body, field) in [
        (Step::Queued, r#"{"taskName": "t"}"#, "queuedAt"),
        (Step::Started, r#"{"taskName": "t", "queuedAt": "2026-11-21T10:00:00"}"#, "startedAt"),
        (Step::Executed, r#"{"finishedAt": "soon"}"#, "finishedAt"),
        (Step::Started, r#"{"startedAt": "2026-11-21T10:00:00"}"#, "taskName"),
        (Step::Started, r#"{"startedAt": "2026-11-21T10:00:00", "taskName": ""}"#, "taskName"),
        (Step::Executed, r#"{"finishedAt": "2027-11-21T10:00:00"}"#, "a day ahead"),
        (Step::Executed, "[]", "a JSON object"),
    ] {
        let error = decode("1", step, body, at("2026-11-22")).unwrap_err();
        assert!(error.contains(field), "{body}: {error}");
    }
}
