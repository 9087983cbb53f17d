use chrono::Utc;
use serde_json::{Value, json};

use super::{found, refused, search};
use crate::support::TestServer;

/// Executions that differ in one thing each.
async fn server() -> TestServer {
    let server = TestServer::start().await;
    server
        .sql(
            r#"insert into task_execution_logs
                   (task_id, task_name, status, worker, queue, duration_ms, attempt, source, error_type, error_message, error_traceback,
                    params, queued_at, started_at, created_at)
               values
                   ('a', 'score_message', 'failed', 'web-1', 'bulk', 2500, 1, 'native', 'ConnectionError', 'connection to host refused: 100% lost',
                    'File "app.py", line 7', '{"message_id": 42, "user": {"name": "ada"}, "ids": [7, "x"], "rate": 1.50}',
                    now() - interval '60 s', now() - interval '40 s', now() - interval '1 minute'),
                   ('b', 'score_topic', 'success', 'web-2', 'default', 2000, 2, 'taskiq', null, null, null,
                    '{"message_id": "42", "user": {"name": "adam"}, "ids": [17], "rate": 2, "flag": true, "none": null}',
                    now() - interval '3 h', now() - interval '3 h' + interval '500 ms', now() - interval '3 h'),
                   ('c', 'scoreXmessage', 'running', 'web_1', null, null, 1, 'sql', null, null, null,
                    '{"message_id": 420, "note": "connection to host is fine", "path": "c:\\temp", "args": [42, {"deep": "x_y"}]}',
                    null, now(), '2026-10-02 12:00Z'),
                   ('d', 'embed', 'failed', null, 'Bulk', 90000, 1, 'native', 'ValueError', 'wrong: 100 lost, xzy',
                    'refused somewhere above', null, null, now(), '2026-10-01 23:59:59.999999Z'),
                   ('d', 'embed', 'success', null, 'Bulk', 1, 2, 'native', null, null, null, null, null, now(), '2026-10-03')"#,
        )
        .await;
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn each_key_finds_what_it_says() {
    let server = server().await;
    let cases: &[(&str, &[&str])] = &[
        // Words and phrases, anywhere.
        ("connection", &["a", "c"]),
        ("CONNECTION refused", &["a"]),
        ("refused", &["a", "d"]),
        ("\"connection to host refused\"", &["a"]),
        ("\"host connection\"", &[]),
        ("connectionerror", &["a"]),
        ("app.py", &["a"]),
        ("failed to", &[]),
        ("host to connection", &["a", "c"]),
        // What means something in a pattern stands for itself.
        ("100%", &["a"]),
        ("\"100% lost\"", &["a"]),
        ("x_y", &["c"]),
        (r"c:\\temp", &["c"]),
        ("\"\\\"app.py\\\"\"", &["a"]),
        // Names and patterns.
        ("task:score_message", &["a"]),
        ("task:score_*", &["a", "b"]),
        ("task:score*message", &["a", "c"]),
        ("task:\"score_*\"", &[]),
        ("task:embed,score_t*", &["b", "d"]),
        ("worker:web-1", &["a"]),
        ("worker:web-*", &["a", "b"]),
        ("queue:bulk", &["a"]),
        ("-queue:bulk", &["b", "c", "d"]),
        ("queue:*", &["a", "b", "d"]),
        ("id:a", &["a"]),
        ("id:a,c", &["a", "c"]),
        ("id:*", &["a", "b", "c", "d"]),
        // Words with a fixed meaning.
        ("status:failed", &["a", "d"]),
        ("status:running,success", &["b", "c", "d"]),
        ("NOT status:success", &["a", "c", "d"]),
        ("source:taskiq,sql", &["b", "c"]),
        ("is:retried", &["d"]),
        ("is:retried status:success", &[]),
        ("is:stalled", &[]),
        // Errors.
        ("error:\"to host\"", &["a"]),
        ("error:valueerror", &["d"]),
        ("error:refused", &["a"]),
        // Params.
        ("params.message_id:42", &["a", "b"]),
        ("params.message_id:\"42\"", &["b"]),
        ("params.message_id:42*", &["a", "b", "c"]),
        ("params.message_id:41,420", &["c"]),
        ("params.message_id:>42", &["c"]),
        ("params.message_id:>=42", &["a", "c"]),
        ("params.message_id:1..42", &["a"]),
        ("params.message_id:<0", &[]),
        ("params.user.name:ada", &["a"]),
        ("params.user.name:ada*", &["a", "b"]),
        ("params.ids:7", &["a"]),
        ("params.ids:x", &["a"]),
        ("params.args.0:42", &["c"]),
        ("params.args.1.deep:x_y", &["c"]),
        ("params.rate:1.5", &["a"]),
        ("params.rate:2.0", &["b"]),
        ("params.flag:true", &["b"]),
        ("params.none:null", &["b"]),
        ("params.missing:null", &[]),
        // Numbers and times.
        ("duration:>2s", &["a", "d"]),
        ("duration:>=2s", &["a", "b", "d"]),
        ("duration:2s", &["b"]),
        ("duration:<2s", &["d"]),
        ("duration:1s..2.5s", &["a", "b"]),
        ("duration:>1m", &["d"]),
        ("wait:>10s", &["a"]),
        ("wait:<=500ms", &["b"]),
        ("attempt:>1", &["b", "d"]),
        ("created:<1h", &["a"]),
        ("created:<1d", &["a", "b"]),
        ("created:1h..1d", &["b"]),
        ("created:2026-10-02", &["c"]),
        ("created:<2026-10-02", &["d"]),
        ("created:<=2026-10-02", &["c", "d"]),
        ("created:2026-10-01..2026-10-02", &["c", "d"]),
        ("created:>2026-10-02T12:00Z created:<2026-10-04", &["d"]),
        // Together.
        (
            "status:failed task:score_* params.message_id:42 duration:>2s worker:web-* -queue:default \"to host\" (refused OR gone)",
            &["a"],
        ),
        ("status:running OR task:embed", &["c", "d"]),
        ("status:failed (queue:bulk OR worker:web-2)", &["a"]),
        ("-(status:failed OR status:success)", &["c"]),
        ("-connection -status:success", &["d"]),
    ];
    let mut wrong = Vec::new();
    for (q, wanted) in cases {
        let ids = found(&server, q).await;
        if ids != *wanted {
            wrong.push(format!("{q} finds {ids:?}, not {wanted:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_is_joined_with_the_other_filters() {
    let server = server().await;
    let of = async |query: &str| server.history(query).await["total_count"].clone();
    assert_eq!(of("q=refused").await, json!(2));
    assert_eq!(of("q=refused&task_name=embed").await, json!(1));
    assert_eq!(of("q=created:%3C1d&end_date=2026-10-04").await, json!(0));
    assert_eq!(of("q=status:failed&status=success").await, json!(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_searched_for_is_never_sql() {
    let server = server().await;
    let before = server.count("select count(*) from task_execution_logs").await;
    let texts = [
        "'; drop table task_execution_logs; --",
        "\"'); delete from task_execution_logs where ('a' = 'a\"",
        "task:\"' or true --\"",
        "params.a'b:1",
        "params.{a}:\"}'\"",
        "params.x:\"\\\"}'::jsonb\"",
        "worker:%",
        "\"%%%\"",
        "\"___\"",
        "error:\"w_ong\"",
        "task:s%e",
        "queue:$1",
        r#"error:"\\\\\\""#,
        "id:\"\\\\\"",
    ];
    for text in texts {
        let found = found(&server, text).await;
        assert_eq!(found, [""; 0], "{text}");
    }
    assert_eq!(server.count("select count(*) from task_execution_logs").await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_search_is_refused_with_its_place() {
    let server = TestServer::start().await;
    let cases = [
        ("status:done", "q is wrong at character 8: status must be pending, running, success or failed"),
        ("ab", "q is wrong at character 1: a text to search for must have 3 characters or more"),
        ("aaa (bbb", "q is wrong at character 5: this parenthesis is not closed"),
        ("aaa\0", "q is wrong at character 4: a search has no NUL character"),
        ("stauts:failed", "q is wrong at character 1: \"stauts\" is none of the keys status, task,"),
    ];
    for (q, sentence) in cases {
        let said = refused(&server, q).await;
        assert!(said.starts_with(sentence), "{said}");
    }
    let call = server.post("/api/fn/history", "application/json", history_call("status:done")).await;
    assert_eq!(call.status(), 400, "a program that sends a wrong search is told so too");
    assert!(call.text().await.unwrap().contains("\"at\":7"));
    let page = server.get("/monitoring/history?q=status:done").await.text().await.unwrap();
    assert!(page.contains("aria-invalid=\"true\"") && page.contains("value=\"status:done\""), "{page}");
    assert!(page.contains("Character 8: status must be pending, running, success or failed"), "{page}");
}

/// A call of the page's server function.
fn history_call(q: &str) -> String {
    let query = taskscope_wire::HistoryQuery { q: Some(q.to_owned()), ..Default::default() };
    json!({ "query": query }).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_of_any_size_are_no_failure() {
    let server = server().await;
    let digits = "9".repeat(200);
    let texts = [
        format!("params.message_id:{digits}"),
        format!("params.message_id:>{}", &digits[..30]),
        "params.message_id:007".to_owned(),
        "params.message_id:1e999999999".to_owned(),
        "params.message_id:-0".to_owned(),
        "duration:<36525d".to_owned(),
        "created:>36525d".to_owned(),
        "created:9999-12-31".to_owned(),
        "attempt:2147483647".to_owned(),
    ];
    for text in texts {
        assert!(search(&server, &text).await.status().is_success(), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_can_be_chosen_from() {
    let server = server().await;
    server
        .report(&json!([{ "type": "task_started", "timestamp": Utc::now(), "task_id": "e", "task_name": "t", "worker": "w-9", "queue": "q9",
                          "params": { "args": [], "kwargs": { "b": 1, "odd key": 2 } } }]))
        .await;
    server.executions(6).await;
    let words: Value = server.post("/api/fn/search_words", "application/json", "{}").await.json().await.unwrap();
    let has = |field: &str, word: &str| words[field].as_array().unwrap().contains(&json!(word));
    assert!(has("task_names", "scoreXmessage") && has("task_names", "t"), "{words}");
    assert!(has("workers", "w-9") && has("workers", "web_1") && has("queues", "q9"), "{words}");
    for key in ["message_id", "user", "user.name", "kwargs.b", "args"] {
        assert!(has("param_keys", key), "{key} in {words}");
    }
    assert!(!words.to_string().contains("odd key"), "{words}");
}
