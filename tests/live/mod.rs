//! `/ws`: order, resume and gaps.

mod frozen;
mod storm;

use serde_json::{Value, json};

use crate::support::TestServer;

async fn complete(server: &TestServer, ids: std::ops::Range<u32>) {
    let events: Vec<Value> = ids
        .map(|id| json!({"type": "task_completed", "task_id": id.to_string(), "task_name": "t", "timestamp": "2026-11-20T10:00:00Z"}))
        .collect();
    server.report(&json!(events)).await;
}

fn numbers(events: &[Value]) -> Vec<i64> {
    events.iter().map(|event| event["seq"].as_i64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_that_comes_back_gets_what_it_missed_once_and_in_order() {
    let server = TestServer::start().await;
    let mut first = server.watch("").await;
    complete(&server, 0..3).await;
    assert_eq!(numbers(&first.events(3).await), [1, 2, 3]);
    let place = first.place(2);
    drop(first);
    complete(&server, 3..10).await;
    let mut again = server.watch(&place).await;
    assert_eq!(again.hello["recovered"], true);
    complete(&server, 10..12).await;
    assert_eq!(numbers(&again.events(10).await), (3..13).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_the_server_loses_no_live_event() {
    let mut server = TestServer::start().await;
    let mut watcher = server.watch("").await;
    complete(&server, 0..5).await;
    watcher.events(2).await;
    let place = watcher.place(2);
    server.restart().await;
    complete(&server, 5..7).await;
    let mut again = server.watch(&place).await;
    assert_eq!(again.hello["recovered"], true, "{}", again.hello);
    assert_eq!(numbers(&again.events(5).await), [3, 4, 5, 6, 7]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_place_is_told_to_load_anew() {
    let server = TestServer::start().await;
    complete(&server, 0..5).await;
    server.executions(5).await;
    let known = server.watch("").await;
    assert_eq!(known.hello["recovered"], false, "no place was given");
    assert_eq!(server.watch("epoch=other&seq=2").await.hello["recovered"], false);
    assert_eq!(server.watch(&known.place(99)).await.hello["recovered"], false, "a place that is still to come");
    assert_eq!(server.watch(&known.place(5)).await.hello["recovered"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_hold_the_same_messages() {
    let server = TestServer::start().await;
    let mut watcher = server.watch("batch=1").await;
    complete(&server, 0..50).await;
    let mut events = Vec::new();
    while events.len() < 50 {
        let Value::Array(messages) = watcher.next_message().await else { panic!("no array") };
        events.extend(messages.into_iter().filter(|message| message["type"] != "server"));
    }
    assert_eq!(numbers(&events), (1..51).collect::<Vec<_>>());
    let place = watcher.place(20);
    let mut again = server.watch(&format!("batch=1&{place}")).await;
    let mut rest = Vec::new();
    while rest.len() < 30 {
        let Value::Array(messages) = again.next_message().await else { panic!("no array") };
        rest.extend(messages.into_iter().filter(|message| message["type"] != "server"));
    }
    assert_eq!(rest, events[20..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_on_one_database_show_everything_in_one_order() {
    let one = TestServer::start().await;
    let two = one.another().await;
    let (mut at_one, mut at_two) = (one.watch("").await, two.watch("").await);
    for round in 0..10 {
        complete(&one, round * 10..round * 10 + 5).await;
        complete(&two, round * 10 + 5..round * 10 + 10).await;
    }
    let (seen_one, seen_two) = (at_one.events(100).await, at_two.events(100).await);
    assert_eq!(numbers(&seen_one), (1..101).collect::<Vec<_>>());
    assert_eq!(seen_one, seen_two);
}

/// A message is here before the other server has read it.
#[tokio::test(flavor = "multi_thread")]
async fn a_place_is_good_at_a_server_that_has_not_come_so_far() {
    let one = TestServer::start().await;
    let two = one.another().await;
    let mut watcher = one.watch("").await;
    for round in 0..20 {
        complete(&one, round..round + 1).await;
        let seq = watcher.next_event().await["seq"].as_i64().unwrap();
        let there = two.watch(&watcher.place(seq)).await;
        assert_eq!((&there.hello["recovered"], &there.hello["seq"]), (&json!(true), &json!(seq)), "round {round}");
    }
}

/// What retention took away while nobody followed the stream can't be caught up with; it is told, and the stream goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_missed_what_is_not_kept_any_more_goes_on_after_it() {
    let server = TestServer::start().await;
    complete(&server, 0..3).await;
    server.executions(3).await;
    let mut watcher = server.watch("").await;
    // As another server's batches that were kept for long and then deleted.
    server.sql("update live_stream set last_seq = last_seq + 100").await;
    complete(&server, 3..5).await;
    let gap = watcher.next_event().await;
    assert_eq!((&gap["type"], &gap["to"]), (&json!("gap"), &json!(103)), "{gap}");
    assert_eq!(numbers(&watcher.events(2).await), [104, 105]);
}

/// The database was put back to another one's state.
#[tokio::test(flavor = "multi_thread")]
async fn another_stream_sends_everybody_back_to_load_anew() {
    let server = TestServer::start().await;
    complete(&server, 0..3).await;
    server.executions(3).await;
    let mut watcher = server.watch("").await;
    let place = watcher.place(3);
    server.sql("update live_stream set epoch = 'another', last_seq = 1; delete from live_batches").await;
    complete(&server, 3..4).await;
    assert_eq!(watcher.closing().await, None);
    let again = server.watch(&place).await;
    assert_eq!((&again.hello["recovered"], &again.hello["epoch"]), (&json!(false), &json!("another")));
}

#[tokio::test(flavor = "multi_thread")]
async fn missed_events_can_be_asked_for() {
    let server = TestServer::start().await;
    complete(&server, 0..10).await;
    complete(&server, 10..20).await;
    server.executions(20).await;
    let of = async |query: &str| {
        let missed = server.json(&format!("/api/v1/monitoring/events?{query}")).await;
        assert_eq!(missed["position"]["seq"], 20);
        (missed["complete"].as_bool().unwrap(), numbers(missed["events"].as_array().unwrap()))
    };
    assert_eq!(of("after=15").await, (true, vec![16, 17, 18, 19, 20]));
    assert_eq!(of("after=20").await, (true, vec![]));
    assert_eq!(of("after=5&limit=3").await, (false, vec![18, 19, 20]));
    assert_eq!(of("after=21").await, (false, vec![]));
    assert_eq!(of("").await, (true, (1..21).collect()));
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_by_sql_are_live_too() {
    let server = TestServer::start().await;
    let mut watcher = server.watch("").await;
    server.sql("insert into task_execution_logs (task_name, status, duration_ms, created_at) values ('test_task', 'running', null, now())").await;
    let event = watcher.next_event().await;
    assert_eq!(
        (&event["type"], &event["task_name"], &event["data"]["refetch"]),
        (&json!("task_started"), &json!("test_task"), &json!(true))
    );
    server.sql("update task_execution_logs set status = 'failed', error_message = 'no' where task_name = 'test_task'").await;
    let event = watcher.next_event().await;
    assert_eq!((&event["type"], &event["data"]["error_message"]), (&json!("task_failed"), &json!("no")));
    assert_eq!(server.metrics_of("test_task").await["failed"], 1);
    server.sql("delete from task_execution_logs where task_name = 'test_task'").await;
    assert_eq!(watcher.next_event().await, json!({"type": "changed", "seq": 3}));
    assert_eq!(server.metrics_of("test_task").await, Value::Null);
    server
        .sql("insert into task_execution_logs (task_name, status) select 'flood', 'success' from generate_series(1, 1000)")
        .await;
    let flood = watcher.events(201).await;
    assert_eq!((flood[0]["type"].as_str(), flood[200]["type"].as_str()), (Some("task_completed"), Some("changed")));
}
