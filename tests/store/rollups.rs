//! What is counted beforehand is what the log holds, whoever wrote it and in whatever order, merged or not.

use chrono::{DateTime, TimeDelta, Timelike, Utc};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

use crate::support::TestServer;

/// The lock of whoever writes cells: while a test holds it, nothing is merged or counted anew.
const LOCK: &str = "select pg_advisory_lock(7239412806)";

/// Something that is done to the log.
#[derive(Debug, Clone)]
enum Write {
    /// Events of so many tasks from a number on, which ended in this way, told in this order.
    Report {
        task: u32,
        minutes_ago: i64,
        failed: bool,
        order: [usize; 3],
        steps: usize,
    },
    Insert {
        minutes_ago: i64,
        name: u8,
    },
    Finish {
        modulus: i64,
    },
    Move {
        modulus: i64,
        minutes: i32,
    },
    Delete {
        modulus: i64,
    },
    RollBack {
        modulus: i64,
    },
}

fn writes() -> impl Strategy<Value = Write> {
    // Over three days, with many in the last two hours.
    let minutes = || prop_oneof![0..120_i64, 0..4320_i64];
    let order = Just([0, 1, 2]).prop_shuffle();
    prop_oneof![
        6 => (0..80_u32, minutes(), any::<bool>(), order, 1..=3_usize).prop_map(|(task, minutes_ago, failed, order, steps)| {
            Write::Report { task, minutes_ago, failed, order, steps }
        }),
        2 => (minutes(), 0..4_u8).prop_map(|(minutes_ago, name)| Write::Insert { minutes_ago, name }),
        1 => (2..9_i64).prop_map(|modulus| Write::Finish { modulus }),
        1 => (5..15_i64, -90..90_i32).prop_map(|(modulus, minutes)| Write::Move { modulus, minutes }),
        1 => (9..19_i64).prop_map(|modulus| Write::Delete { modulus }),
        1 => (2..9_i64).prop_map(|modulus| Write::RollBack { modulus }),
    ]
}

async fn write(server: &TestServer, now: DateTime<Utc>, write: Write) {
    let execute = async |sql: &'static str, number: i64, text: String| {
        sqlx::query(sql).bind(number).bind(text).execute(&server.pool).await.unwrap();
    };
    match write {
        Write::Report { task, minutes_ago, failed, order, steps } => {
            let at = |seconds: i64| (now - TimeDelta::minutes(minutes_ago) + TimeDelta::seconds(seconds)).to_rfc3339();
            let end = if failed { "task_failed" } else { "task_completed" };
            let event = |step: usize| {
                let kind = ["task_queued", "task_started", end][step];
                json!({"type": kind, "task_id": format!("task-{task}"), "task_name": format!("t{}", task % 5), "attempt": 1,
                       "timestamp": at(step as i64 * i64::from(task)), "error_message": failed.then_some("no")})
            };
            server.report(&json!(order[..steps].iter().map(|step| event(*step)).collect::<Vec<_>>())).await;
        }
        Write::Insert { minutes_ago, name } => {
            let sql = "insert into task_execution_logs (task_name, status, duration_ms, created_at)
                       select 't' || $2, case when i % 3 = 0 then 'pending' else 'success' end, i * 37, now() - interval '1 minute' * $1 - interval '1 second' * i
                       from generate_series(1, 7) i";
            execute(sql, minutes_ago, name.to_string()).await;
        }
        Write::Finish { modulus } => {
            let sql = "update task_execution_logs set status = 'failed', duration_ms = id where id % $1 = 0 and status <> $2";
            execute(sql, modulus, "success".to_owned()).await;
        }
        Write::Move { modulus, minutes } => {
            let sql = "update task_execution_logs set created_at = created_at + interval '1 minute' * $2::integer
                       where id % $1 = 0 and source = 'sql'";
            execute(sql, modulus, minutes.to_string()).await;
        }
        Write::Delete { modulus } => {
            execute("delete from task_execution_logs where id % $1 = 0 and task_name <> $2", modulus, "t0".to_owned()).await;
        }
        Write::RollBack { modulus } => {
            let mut tx = server.pool.begin().await.unwrap();
            let mut inner = tx.begin().await.unwrap();
            sqlx::query("delete from task_execution_logs where id % $1 = 0").bind(modulus).execute(&mut *inner).await.unwrap();
            inner.rollback().await.unwrap();
            // What the rollback took back must not keep this one from being marked.
            let again = "update task_execution_logs set status = 'running' where id % $1 = 0 and status = 'pending'";
            sqlx::query(again).bind(modulus).execute(&mut *tx).await.unwrap();
            tx.commit().await.unwrap();
        }
    }
}

/// Whether every count of every day is that of the log.
async fn assert_exact(server: &TestServer) {
    let store = &server.server().store;
    for day in store.counted_days().await.unwrap() {
        assert_eq!(store.check_day(day).await.unwrap(), [], "{day}");
    }
}

/// Whether totals, pages and metrics are those that a plain query gives.
async fn assert_answers(server: &TestServer, now: DateTime<Utc>) {
    let time = |minutes: i64| (now - TimeDelta::minutes(minutes)).format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string();
    let windows = [
        (String::new(), "true".to_owned()),
        (format!("&start_date={}", time(2000)), format!("created_at >= '{}'", time(2000))),
        (
            format!("&start_date={}&end_date={}", time(3999), time(61)),
            format!("created_at between '{}' and '{}'", time(3999), time(61)),
        ),
        (
            format!("&start_date={}&end_date={}", time(50), time(49)),
            format!("created_at between '{}' and '{}'", time(50), time(49)),
        ),
    ];
    let filters = [
        ("", "true"),
        ("&status=failed", "status = 'failed'"),
        ("&status=running", "status = 'running'"),
        ("&status=pending&status=running&task_name=t1", "status in ('pending', 'running') and task_name = 't1'"),
        ("&task_name=t2&task_name=t3", "task_name in ('t2', 't3')"),
    ];
    for (window, in_window) in &windows {
        for (filter, in_filter) in filters {
            let sql =
                format!("select id from task_execution_logs where {in_window} and {in_filter} order by created_at desc, id desc");
            let expected: Vec<i64> = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_all(&server.pool).await.unwrap();
            let mut pages = Vec::new();
            for page in 1.. {
                let answer = server.history(&format!("page={page}&page_size=50{window}{filter}")).await;
                assert_eq!(answer["total_count"], expected.len(), "{window}{filter}");
                let ids: Vec<i64> = answer["items"].as_array().unwrap().iter().map(|item| item["id"].as_i64().unwrap()).collect();
                if ids.is_empty() {
                    break;
                }
                pages.extend(ids);
            }
            assert_eq!(pages, expected, "{window}{filter}");
        }
    }
}

async fn assert_metrics(server: &TestServer) {
    let metrics = server.json("/api/v1/monitoring/metrics?time_window=49").await;
    let end: DateTime<Utc> = serde_json::from_value(metrics["generated_at"].clone()).unwrap();
    let start = end - TimeDelta::hours(49);
    for entry in metrics["metrics"].as_array().unwrap() {
        let row: (i64, i64, Option<f64>, Vec<Option<i64>>) = sqlx::query_as(
            "select count(*), count(*) filter (where status = 'failed'), avg(duration_ms) filter (where status = 'success')::float8,
                    coalesce(percentile_disc(array[0.5, 0.95, 0.99]) within group (order by duration_ms) filter (where status = 'success'),
                             array[null, null, null]::bigint[])
             from task_execution_logs where task_name = $1 and created_at >= $2",
        )
        .bind(entry["task_name"].as_str())
        .bind(start)
        .fetch_one(&server.pool)
        .await
        .unwrap();
        assert_eq!((&entry["total_executions"], &entry["failed"]), (&json!(row.0), &json!(row.1)), "{entry}");
        assert_eq!(entry["avg_duration_ms"].as_f64(), row.2, "{entry}");
        let trend: i64 = entry["trend"].as_array().unwrap().iter().map(|step| step["total"].as_i64().unwrap()).sum();
        assert_eq!(trend, row.0);
        for (quantile, exact) in ["p50_ms", "p95_ms", "p99_ms"].iter().zip(row.3) {
            let found = entry["run"].get(quantile).and_then(Value::as_f64);
            assert_eq!(found.is_some(), exact.is_some(), "{entry}");
            let (found, exact) = (found.unwrap_or_default(), exact.unwrap_or_default() as f64);
            assert!((found - exact).abs() <= exact * 0.01, "{quantile}: {found} is not {exact}");
        }
    }
}

async fn all_is_written(server: &TestServer) {
    server
        .until("the spool is empty", async || {
            server.get("/metrics").await.text().await.unwrap().contains("taskscope_spool_events 0")
        })
        .await;
}

async fn all_is_merged(server: &TestServer) {
    server
        .until("all is merged", async || {
            server.count("select (select count(*) from rollup_deltas) + (select count(*) from rollup_dirty)").await == 0
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_are_the_log_after_any_mix_of_writes() {
    let server = TestServer::start().await;
    let mut lock = PgConnection::connect(&server.database_url).await.unwrap();
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let now = Utc::now();
    for round in 0..3 {
        // In the first and the last round nothing is merged before it is asked.
        if round % 2 == 0 {
            sqlx::query(LOCK).execute(&mut lock).await.unwrap();
        }
        for _ in 0..60 {
            let chosen = writes().new_tree(&mut runner).unwrap().current();
            write(&server, now, chosen).await;
        }
        all_is_written(&server).await;
        assert_exact(&server).await;
        assert_answers(&server, now).await;
        assert_metrics(&server).await;
        if round % 2 == 0 {
            sqlx::query("select pg_advisory_unlock_all()").execute(&mut lock).await.unwrap();
        }
        all_is_merged(&server).await;
        assert_exact(&server).await;
        assert_answers(&server, now).await;
        assert_metrics(&server).await;
    }
    assert!(server.count("select count(*) from task_execution_logs").await > 100, "the mix leaves something to count");
    server.sql("truncate task_execution_logs").await;
    assert_eq!(server.history("").await["total_count"], 0);
    assert_exact(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn check_finds_what_differs_and_repair_mends_it() {
    let server = TestServer::start().await;
    server.sql("insert into task_execution_logs (task_name, status, duration_ms) select 't', 'success', i from generate_series(1, 20) i").await;
    server.sql("insert into task_execution_logs (task_name, status) values ('ran', 'running')").await;
    all_is_merged(&server).await;
    let check = async |arguments: &[&str]| {
        let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_taskscope"))
            .arg("check")
            .args(arguments)
            .env("DATABASE_URL", &server.database_url)
            .output()
            .await
            .unwrap();
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.success(), text)
    };
    let (fine, text) = check(&[]).await;
    assert!(fine && text.contains("1 days checked"), "{text}");
    // As a program does that turns triggers off, or a row of the rollups that was written by hand.
    let mut connection = server.pool.acquire().await.unwrap();
    for statement in [
        "set session_replication_role = replica",
        "insert into task_execution_logs (task_name, status) values ('t', 'failed'), ('waits', 'pending')",
        "delete from task_execution_logs where task_name = 'ran'",
        "update task_execution_logs set duration_ms = 1000 where duration_ms = 7",
        "set session_replication_role = origin",
    ] {
        sqlx::query(statement).execute(&mut *connection).await.unwrap();
    }
    let (fine, text) = check(&[]).await;
    assert!(!fine && text.contains("\"t\" failed: 0 counted, 1 in the log"), "{text}");
    assert!(text.contains("\"t\" success: 20 counted, 20 in the log (minutes, run or waiting times differ)"), "{text}");
    assert!(text.contains("taskscope check --repair"), "{text}");
    let (fine, text) = check(&["--repair"]).await;
    assert!(fine && text.contains("counted anew"), "{text}");
    all_is_merged(&server).await;
    let (fine, text) = check(&[]).await;
    assert!(fine, "{text}");
    assert_eq!(server.history("status=failed").await["total_count"], 1);
    // Such rows are not noted as open, and one that is gone still is.
    let open = server.history("status=pending&status=running").await;
    assert_eq!((open["total_count"].as_i64(), open["items"][0]["task_name"].as_str()), (Some(1), Some("waits")), "{open}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_a_cursor_do_not_shift() {
    let server = TestServer::start().await;
    let ids = async |query: &str| -> (Vec<i64>, i64, String) {
        let answer = server.history(query).await;
        let items = answer["items"].as_array().unwrap().iter().map(|item| item["id"].as_i64().unwrap()).collect();
        (items, answer["total_count"].as_i64().unwrap(), answer["cursor"].as_str().unwrap().to_owned())
    };
    server
        .sql(
            "insert into task_execution_logs (task_name, status, created_at)
              select 't', 'success', now() - interval '1 second' * i from generate_series(1, 1200) i",
        )
        .await;
    let before: Vec<Vec<i64>> = {
        let mut pages = Vec::new();
        for page in 1..=24 {
            pages.push(ids(&format!("page={page}")).await.0);
        }
        pages
    };
    let (_, total, cursor) = ids("").await;
    assert_eq!(total, 1200);
    // New ones, and some that come late although they were created before the newest of those that are shown.
    server
        .sql("insert into task_execution_logs (task_name, status, created_at) select 't', 'success', now() + interval '1 second' from generate_series(1, 30);
              insert into task_execution_logs (task_name, status, created_at) select 't', 'success', now() - interval '20 seconds' from generate_series(1, 9);
              insert into task_execution_logs (task_name, status, created_at) select 'other', 'success', now() - interval '10 minutes'")
        .await;
    for (page, expected) in (1..).zip(&before) {
        let (shown, total, _) = ids(&format!("page={page}&cursor={cursor}")).await;
        assert_eq!((&shown, total), (expected, 1200), "page {page}");
    }
    assert_eq!(ids("").await.1, 1240);
    assert_eq!(ids(&format!("cursor={cursor}&task_name=other")).await.1, 0);
}

/// Cells are kept by the hour; nothing may be counted twice or left out where an hour begins.
#[tokio::test(flavor = "multi_thread")]
async fn windows_that_begin_with_an_hour_hold_its_first_moment() {
    let server = TestServer::start().await;
    let hour = (Utc::now() - TimeDelta::hours(3))
        .with_minute(0)
        .and_then(|at| at.with_second(0))
        .and_then(|at| at.with_nanosecond(0))
        .unwrap();
    for micros in [-1, 0, 1, 60_000_000, 3_599_999_999, 3_600_000_000] {
        sqlx::query("insert into task_execution_logs (task_name, status, created_at) values ('t', 'success', $1)")
            .bind(hour + TimeDelta::microseconds(micros))
            .execute(&server.pool)
            .await
            .unwrap();
    }
    all_is_merged(&server).await;
    let total = async |start: i64, end: i64| {
        let time = |micros| (hour + TimeDelta::microseconds(micros)).format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string();
        server.history(&format!("start_date={}&end_date={}", time(start), time(end))).await["total_count"].as_i64().unwrap()
    };
    assert_eq!(total(0, 3_599_999_999).await, 4);
    assert_eq!(total(0, 3_600_000_000).await, 5);
    assert_eq!(total(-1, 0).await, 2);
    assert_eq!(total(1, 60_000_000).await, 2);
    assert_eq!(total(0, 0).await, 1);
}

/// In a busy hour that a window cuts, counts are those of the window and times those of the whole hour: each once.
#[tokio::test(flavor = "multi_thread")]
async fn times_of_a_busy_hour_that_is_cut_are_counted_once() {
    let server = TestServer::start().await;
    // All minutes of the last hour but one have some, so that the one that is cut has.
    server
        .sql(
            "insert into task_execution_logs (task_name, status, duration_ms, created_at)
              select 't', 'success', i, date_trunc('hour', now()) - interval '1 hour' + interval '0.59 seconds' * i
              from generate_series(0, 6000) i",
        )
        .await;
    all_is_merged(&server).await;
    let metrics = server.metrics_of("t").await;
    assert_eq!((&metrics["total_executions"], &metrics["run"]["count"]), (&json!(6001), &json!(6001)));
    let metrics = server.json("/api/v1/monitoring/metrics?time_window=1").await;
    let end: DateTime<Utc> = serde_json::from_value(metrics["generated_at"].clone()).unwrap();
    let t = metrics["metrics"].as_array().unwrap().iter().find(|entry| entry["task_name"] == "t").unwrap();
    let counted: i64 = sqlx::query_scalar("select count(*) from task_execution_logs where created_at >= $1")
        .bind(end - TimeDelta::hours(1))
        .fetch_one(&server.pool)
        .await
        .unwrap();
    assert_eq!(t["total_executions"], counted);
    let hour_is_the_same = (end - TimeDelta::hours(1)).hour() == (Utc::now() - TimeDelta::hours(1)).hour();
    assert!(!hour_is_the_same || t["run"]["count"] == 6001, "{t}");
}
