//! The execution log itself: migrations, partitions, counts, and the fold's promise.

mod order;
mod replica;
mod rollups;
mod writing;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use sqlx::postgres::PgConnectOptions;
use taskscope::server::store::Store;

use crate::support::{TestServer, new_database};

#[tokio::test(flavor = "multi_thread")]
async fn migrations_run_forward_and_back_and_forward() {
    let url = new_database().await;
    let store = Store::new(url.parse::<PgConnectOptions>().unwrap());
    store.migrate().await.unwrap();
    store.migrate_down().await.unwrap();
    let pool = sqlx::PgPool::connect(&url).await.unwrap();
    let left: i64 =
        sqlx::query_scalar("select count(*) from pg_class where relnamespace = 'public'::regnamespace and relname !~ '^_sqlx'")
            .fetch_one(&pool)
            .await
            .unwrap();
    assert_eq!(left, 0, "nothing is left behind");
    store.migrate().await.unwrap();
    assert!(store.metrics(24).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_planner_looks_at_the_log_when_it_has_grown_and_not_each_time() {
    let url = new_database().await;
    let store = Store::new(url.parse::<PgConnectOptions>().unwrap());
    store.migrate().await.unwrap();
    store.make_partitions(Utc::now()).await.unwrap();
    let pool = sqlx::postgres::PgPoolOptions::new().max_connections(1).connect(&url).await.unwrap();
    let mut looks: Vec<i64> = Vec::new();
    for rows in [0, 0, 100, 50, 100] {
        sqlx::query("insert into task_execution_logs (task_name, status) select 'task', 'pending' from generate_series(1, $1)")
            .bind(rows)
            .execute(&pool)
            .await
            .unwrap();
        // What this connection wrote is counted now, and not a second later.
        sqlx::query("select pg_stat_force_next_flush()").execute(&pool).await.unwrap();
        store.analyze().await.unwrap();
        let looked = sqlx::query_scalar("select analyze_count from pg_stat_user_tables where relname = 'task_execution_logs'");
        looks.push(looked.fetch_one(&pool).await.unwrap());
    }
    assert_eq!(looks, [1, 1, 2, 2, 3], "when there was nothing, and when there were more than twice as many rows");
}

/// Scenario 5 of the quickstart, word for word.
#[tokio::test(flavor = "multi_thread")]
async fn plain_sql_rows_count_like_any_other() {
    let server = TestServer::start().await;
    server
        .sql(
            "INSERT INTO task_execution_logs (task_name, status, duration_ms, created_at)
             VALUES
               ('test_task', 'success', 100, NOW()),
               ('test_task', 'success', 200, NOW()),
               ('test_task', 'success', 300, NOW()),
               ('test_task', 'failed', 150, NOW());",
        )
        .await;
    let metrics = server.metrics_of("test_task").await;
    let of = |field: &str| metrics[field].as_f64().unwrap();
    assert_eq!([of("total_executions"), of("success"), of("failed"), of("pending"), of("running")], [4.0, 3.0, 1.0, 0.0, 0.0]);
    assert_eq!([of("avg_duration_ms"), of("success_rate")], [200.0, 75.0]);
    server.sql("DELETE FROM task_execution_logs WHERE task_name = 'test_task'").await;
    assert!(server.metrics_of("test_task").await.is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_agree_with_count_after_mixed_writes() {
    let server = TestServer::start().await;
    let now = Utc::now();
    let at = |seconds: i64| (now - TimeDelta::seconds(seconds)).to_rfc3339();
    for i in 0..60 {
        let id = i.to_string();
        let kinds = ["task_queued", "task_started", if i % 3 == 0 { "task_failed" } else { "task_completed" }];
        let events: Vec<_> = kinds[..=(i % 3) as usize]
            .iter()
            .enumerate()
            .map(|(step, kind)| json!({"type": kind, "task_id": id, "task_name": format!("t{}", i % 4), "timestamp": at(600 - step as i64)}))
            .collect();
        server.report(&json!(events)).await;
    }
    // What follows changes rows, which must be there.
    server.executions(60).await;
    server.sql("update task_execution_logs set status = 'failed' where task_id = '7'").await;
    server.sql("delete from task_execution_logs where task_id = '8'").await;
    server.sql("insert into task_execution_logs (task_name, status) values ('t0', 'pending')").await;
    server.executions(60).await;
    let metrics = server.json("/api/v1/monitoring/metrics").await;
    for entry in metrics["metrics"].as_array().unwrap() {
        for status in ["pending", "running", "success", "failed"] {
            let counted: i64 =
                sqlx::query_scalar("select count(*) from task_execution_logs where task_name = $1 and status = $2")
                    .bind(entry["task_name"].as_str())
                    .bind(status)
                    .fetch_one(&server.pool)
                    .await
                    .unwrap();
            assert_eq!(entry[status], counted, "{} {status}", entry["task_name"]);
            let history = server.history(&format!("task_name={}&status={status}", entry["task_name"].as_str().unwrap())).await;
            assert_eq!(history["total_count"], counted);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn old_days_are_dropped_and_far_times_are_kept() {
    let server = TestServer::start().await;
    let day = |days: i64| Utc::now() - TimeDelta::days(days);
    let event = |id: &str, at: DateTime<Utc>| json!({"type": "task_completed", "task_id": id, "task_name": "t", "timestamp": at.to_rfc3339()});
    server.report(&json!([event("new", day(1)), event("old", day(40)), event("ancient", day(3000))])).await;
    server.executions(3).await;
    let partition = async |name: String| -> bool {
        sqlx::query_scalar("select to_regclass($1) is not null").bind(name).fetch_one(&server.pool).await.unwrap()
    };
    let old = format!("task_execution_logs_{}", day(40).format("%Y%m%d"));
    assert!(partition(old.clone()).await);
    server.server().store.drop_before(day(30), true).await.unwrap();
    assert!(partition(old.clone()).await, "it has rows, which somebody else archives first");
    server.executions(3).await;
    server.server().store.drop_before(day(30), false).await.unwrap();
    assert!(!partition(old).await);
    assert_eq!(server.executions(1).await[0]["task_id"], "new");
    let ahead = format!("task_execution_logs_{}", (Utc::now() + TimeDelta::days(7)).format("%Y%m%d"));
    assert!(partition(ahead).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_postgres_refuses_costs_no_other() {
    let server = TestServer::start().await;
    server.sql("alter table task_execution_logs add constraint no_poison check (task_id <> 'poison')").await;
    let event =
        |id: String| json!({"type": "task_completed", "task_id": id, "task_name": "t", "timestamp": "2026-11-20T10:00:00Z"});
    let events: Vec<_> = (0..40).map(|i| event(if i == 17 { "poison".to_owned() } else { i.to_string() })).collect();
    server.report(&json!(events)).await;
    server.executions(39).await;
    server
        .until("the letter is there", async || {
            server.count("select count(*) from dead_letters where reason like '%no_poison%'").await == 1
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_event_waits_until_it_can_be_kept() {
    let server = TestServer::start().await;
    server.sql("alter table task_execution_logs add constraint no_poison check (task_id <> 'poison')").await;
    server.sql("alter table dead_letters rename to dead_letters_away").await;
    let event =
        |id: &str| json!([{"type": "task_completed", "task_id": id, "task_name": "t", "timestamp": "2026-11-20T10:00:00Z"}]);
    server.report(&event("before")).await;
    server.executions(1).await;
    server.report(&event("poison")).await;
    server.report(&event("behind")).await;
    // Long enough for several tries.
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    assert_eq!(server.executions(1).await.len(), 1, "nothing passes what isn't kept yet");
    server.sql("alter table dead_letters_away rename to dead_letters").await;
    server.executions(2).await;
    assert_eq!(server.count("select count(*) from dead_letters").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_seen_taken_along_and_sent_again_after_a_fix() {
    let server = TestServer::start().await;
    let replay = async || -> serde_json::Value { server.post("/api/v1/dead-letters/replay", "", "").await.json().await.unwrap() };
    assert_eq!(server.json("/api/v1/dead-letters").await["total_count"], 0);
    assert_eq!(server.get("/api/v1/dead-letters/export").await.text().await.unwrap(), "");
    server.sql("alter table task_execution_logs add constraint no_poison check (task_id not like 'poison%')").await;
    server.sql("insert into dead_letters (reason, event) values ('damaged', '{\"torn')").await;
    let event = |id: i32| json!({"type": "task_completed", "task_id": format!("poison-{id}"), "task_name": "t", "timestamp": "2026-11-20T10:00:00Z"});
    server.report(&json!((0..3).map(event).collect::<Vec<_>>())).await;
    let letters = async |count: i64| {
        server.until("all letters are there", async || server.count("select count(*) from dead_letters").await == count).await;
    };
    letters(4).await;
    let page = server.json("/api/v1/dead-letters?page=2&page_size=3").await;
    assert_eq!(
        (&page["total_count"], &page["total_pages"], &page["items"][0]["reason"]),
        (&json!(4), &json!(2), &json!("damaged"))
    );
    let newest = &server.json("/api/v1/dead-letters").await["items"][0];
    assert!(
        newest["reason"].as_str().unwrap().contains("no_poison") && newest["event"].as_str().unwrap().contains("poison-"),
        "{newest}"
    );
    let export = server.get("/api/v1/dead-letters/export").await.text().await.unwrap();
    let lines: Vec<serde_json::Value> = export.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), lines[0]["event"].as_str()), (4, Some("{\"torn")));
    // Nothing is mended yet: they come back.
    assert_eq!(replay().await, json!({"accepted": 3, "unreadable": 1}));
    server.until("they were refused again", async || server.count("select max(id) from dead_letters").await == 7).await;
    letters(4).await;
    server.sql("alter table task_execution_logs drop constraint no_poison").await;
    assert_eq!(replay().await, json!({"accepted": 3, "unreadable": 1}));
    server.executions(3).await;
    letters(1).await;
    assert_eq!(replay().await, json!({"accepted": 0, "unreadable": 1}));
    for wrong in ["page=0", "page_size=51", "size=1"] {
        assert_eq!(server.get(&format!("/api/v1/dead-letters?{wrong}")).await.status(), 400, "{wrong}");
    }
}

/// The time that Postgres spends on status changes depends on this: see the migration.
#[tokio::test(flavor = "multi_thread")]
async fn no_index_mentions_status() {
    let server = TestServer::start().await;
    let with_status = "select count(*) from pg_indexes where tablename like 'task_execution_logs%' and indexdef like '%status%'";
    assert_eq!(server.count(with_status).await, 0);
}
