//! Series over time: that they are what the log says, step by step, and what queues held.

use chrono::{DateTime, DurationRound, SubsecRound, TimeDelta, Timelike, Utc};
use serde_json::{Value, json};
use sqlx::Row;

use crate::support::TestServer;

/// Executions of three task types over the last days: every status, at the edges of steps and between them.
async fn with_a_few_days() -> TestServer {
    let server = TestServer::start().await;
    let now = Utc::now().trunc_subsecs(3);
    let hour = now.duration_trunc(TimeDelta::hours(1)).unwrap();
    let mut events = Vec::new();
    for n in 0..600_i64 {
        // Some on the edge of an hour, some a millisecond before it, some anywhere.
        let at = match n % 4 {
            0 => hour - TimeDelta::hours(n / 8),
            1 => hour - TimeDelta::hours(n / 8) - TimeDelta::milliseconds(1),
            2 => now - TimeDelta::seconds(n * 7),
            _ => now - TimeDelta::seconds(n * 433),
        };
        let time = |ms: i64| (at + TimeDelta::milliseconds(ms)).to_rfc3339();
        let (name, ran, waited) = (format!("task {}", n % 3), 5 + n * n % 4_001, n * 17 % 900);
        let of = |kind: &str, ms: i64, more: Value| {
            let mut event = json!({"type": kind, "task_id": n.to_string(), "task_name": name, "timestamp": time(ms)});
            event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            event
        };
        events.push(of("task_queued", 0, json!({})));
        if n % 10 > 0 {
            events.push(of("task_started", waited, json!({})));
        }
        if n % 10 > 1 {
            let kind = if n % 7 == 0 { "task_failed" } else { "task_completed" };
            events.push(of(kind, waited + ran, json!({"duration_ms": ran})));
        }
    }
    server.report(&json!(events)).await;
    server.executions(600).await;
    server
}

fn time(value: &Value) -> DateTime<Utc> {
    value.as_str().unwrap().parse().unwrap()
}

/// What the log says of a step.
async fn counted(server: &TestServer, name: Option<&str>, from: DateTime<Utc>, to: Option<DateTime<Utc>>) -> [i64; 4] {
    let row = sqlx::query(
        "select count(*) filter (where status = 'pending'), count(*) filter (where status = 'running'),
             count(*) filter (where status = 'success'), count(*) filter (where status = 'failed')
         from task_execution_logs
         where created_at >= $1 and ($2::timestamptz is null or created_at < $2) and ($3::text is null or task_name = $3)",
    );
    let row = row.bind(from).bind(to).bind(name).fetch_one(&server.pool).await.unwrap();
    [0, 1, 2, 3].map(|column| row.get(column))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_holds_what_was_created_in_it() {
    let server = with_a_few_days().await;
    for query in
        ["time_window=1&step=60", "time_window=6", "time_window=72&step=3600", "time_window=168", "time_window=720&step=86400"]
    {
        for name in [None, Some("task 1")] {
            let of_name = name.map(|_| "&task_name=task%201").unwrap_or_default();
            let series = server.json(&format!("/api/v1/monitoring/series?{query}{of_name}")).await;
            let length = TimeDelta::seconds(series["step_seconds"].as_i64().unwrap());
            let (start, generated_at) = (time(&series["start"]), time(&series["generated_at"]));
            assert_eq!(start.timestamp() % length.num_seconds(), 0, "{query}: {start}");
            let steps = series["steps"].as_array().unwrap();
            let last = start + length * i32::try_from(steps.len() - 1).unwrap();
            assert!(last <= generated_at && generated_at < last + length, "{query}: the last step holds the time of the answer");
            for (n, step) in steps.iter().enumerate() {
                let from = start + length * i32::try_from(n).unwrap();
                let to = (n + 1 < steps.len()).then_some(from + length);
                let told = ["pending", "running", "success", "failed"].map(|status| step[status].as_i64().unwrap());
                assert_eq!(told, counted(&server, name, from, to).await, "{query} {name:?}, from {from}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn percentiles_are_those_of_the_log() {
    let server = with_a_few_days().await;
    for query in ["time_window=1", "time_window=6&task_name=task%202", "time_window=24&task_name=task%200", "time_window=168"] {
        let series = server.json(&format!("/api/v1/monitoring/series?{query}")).await;
        let name = series["task_name"].as_str();
        let length = TimeDelta::seconds(series["times_step_seconds"].as_i64().unwrap());
        let start = time(&series["times_start"]);
        let steps = series["times"].as_array().unwrap();
        let bounds = |n: usize| (start + length * i32::try_from(n).unwrap(), (n + 1 < steps.len()).then_some(length));
        let mut found = 0;
        for (n, step) in steps.iter().enumerate() {
            let (from, length) = bounds(n);
            found += same_times(&server, name, step, from, length.map(|length| from + length)).await;
        }
        found += same_times(&server, name, &series["all_times"], start, None).await;
        assert!(found > 10, "{query}: {found} steps had times");
    }
}

/// Compares both kinds of times with the log; returns how many there were.
async fn same_times(
    server: &TestServer,
    name: Option<&str>,
    step: &Value,
    from: DateTime<Utc>,
    to: Option<DateTime<Utc>>,
) -> usize {
    let mut found = 0;
    for (kind, times) in [
        ("run", "case when status = 'success' then duration_ms end"),
        ("wait", "case when started_at >= queued_at then floor(1000 * extract(epoch from started_at - queued_at))::bigint end"),
    ] {
        let sql = format!(
            "select count({times}), percentile_disc(array[0.5, 0.95, 0.99]) within group (order by {times})
             from task_execution_logs
             where created_at >= $1 and ($2::timestamptz is null or created_at < $2) and ($3::text is null or task_name = $3)"
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(from).bind(to).bind(name);
        let row = query.fetch_one(&server.pool).await.unwrap();
        let (count, exact): (i64, Option<Vec<Option<i64>>>) = (row.get(0), row.get(1));
        assert_eq!(step[kind]["count"].as_i64().unwrap_or(0), count, "{kind} from {from}: {step}");
        let exact: Vec<i64> = exact.unwrap_or_default().into_iter().flatten().collect();
        for (rank, exact) in ["p50_ms", "p95_ms", "p99_ms"].iter().zip(exact) {
            let told = step[kind][rank].as_f64().unwrap();
            assert!((told - exact as f64).abs() <= exact as f64 * 0.01, "{kind} {rank} from {from}: {told}, not {exact}");
            found += 1;
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn hours_of_the_week_are_whole_hours() {
    let server = with_a_few_days().await;
    let counts = server.server().store.hour_counts("task 1", 168).await.unwrap();
    assert_eq!((counts.total.len(), counts.failed.len(), counts.start.minute()), (168, 168, 0));
    let mut sum = 0;
    for (n, (total, failed)) in counts.total.iter().zip(&counts.failed).enumerate() {
        let from = counts.start + TimeDelta::hours(n as i64);
        let log = counted(&server, Some("task 1"), from, Some(from + TimeDelta::hours(1))).await;
        assert_eq!((*total, *failed), (log.iter().sum(), log[3]), "{from}");
        sum += total;
    }
    assert!(sum > 50, "{sum}");
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_are_noted_minute_by_minute_and_the_most_stays() {
    let server = TestServer::start().await;
    let now = Utc::now();
    let queued = |id: &str, name: &str, seconds: i64| json!({"type": "task_queued", "task_id": id, "task_name": name, "timestamp": (now - TimeDelta::seconds(seconds)).to_rfc3339()});
    server.report(&json!([queued("1", "a", 90), queued("2", "a", 30), queued("3", "b", 10)])).await;
    server.executions(3).await;
    let store = &server.server().store;
    // Twice: another server looks as well.
    let ago = |minutes: i64| now - TimeDelta::minutes(minutes);
    for at in [ago(30), ago(30), ago(-1)] {
        store.sample_queues(at).await.unwrap();
    }
    server.report(&json!([{"type": "task_completed", "task_id": "2", "task_name": "a", "timestamp": now.to_rfc3339()}])).await;
    server.until("one is done", async || server.history("status=success").await["total_count"] == 1).await;
    for at in [ago(30), ago(20)] {
        store.sample_queues(at).await.unwrap();
    }
    let series = async |name: &str| server.json(&format!("/api/v1/monitoring/series?time_window=1&task_name={name}")).await;
    let step = |series: &Value, minutes: i64| {
        let start = time(&series["start"]);
        let at = (ago(minutes) - start).num_minutes() as usize;
        (series["steps"][at]["queue_depth"].clone(), series["steps"][at]["oldest_waiting_ms"].clone())
    };
    let a = series("a").await;
    assert_eq!(step(&a, 30).0, 2, "the most of both looks");
    assert_eq!(step(&a, 20), (json!(1), json!(0)), "the one that waits was queued after that minute: never less than nothing");
    assert_eq!(step(&a, 40), (Value::Null, Value::Null), "nobody looked");
    assert_eq!(
        (a["waiting"].clone(), time(&a["oldest_waiting_since"]).timestamp()),
        (json!(1), (now - TimeDelta::seconds(90)).timestamp())
    );
    let last = a["steps"].as_array().unwrap().last().unwrap();
    assert!(last["queue_depth"].as_i64().unwrap() >= 1 && last["oldest_waiting_ms"].as_i64().unwrap() >= 90_000, "{last}");
    assert_eq!(step(&series("b").await, 20).0, 1);
    assert_eq!(step(&series("never").await, 20), (json!(0), json!(0)), "somebody looked, and none of it waited");
    let all = server.json("/api/v1/monitoring/series?time_window=1").await;
    assert_eq!((step(&all, 30).0, all["waiting"].clone()), (json!(3), json!(2)));

    store.forget_queue_samples(now + TimeDelta::hours(3)).await.unwrap();
    assert_eq!(server.count("select count(*) from queue_samples").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_looks_at_queues_by_itself() {
    let server = TestServer::start().await;
    server
        .until("somebody looked", async || {
            server.json("/api/v1/monitoring/series?time_window=1").await["steps"][60]["queue_depth"] == 0
                && server.count("select count(*) from queue_samples where task_name = ''").await > 0
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_wrongly_is_said() {
    let server = TestServer::start().await;
    let refused = [
        ("step=61", "step must be one of 60, 300, 900, 3600, 10800, 21600, 86400 seconds"),
        ("step=60&time_window=24", "step must be 300 seconds or more for a window of 24 hours"),
        ("step=x", "step must be a whole number"),
        ("time_window=0", "time_window must be a whole number of hours from 1 to 720"),
        ("task_name=", "task_name must not be empty"),
        ("task_name=%00", "task_name must be at most 1024 bytes without a NUL character"),
    ];
    for (query, sentence) in refused {
        let answer = server.get(&format!("/api/v1/monitoring/series?{query}")).await;
        assert_eq!(answer.status(), 400, "{query}");
        let error = answer.json::<Value>().await.unwrap()["error"].as_str().unwrap().to_owned();
        assert!(error.starts_with(sentence), "{query}: {error}");
    }
    let unknown = server.json("/api/v1/monitoring/series?task_name=unknown&time_window=24").await;
    assert_eq!((unknown["step_seconds"].clone(), unknown["steps"].as_array().unwrap().len()), (json!(900), 97));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_a_task_type_shows_any_name() {
    let server = TestServer::start().await;
    let name = "a/b </title><img src=x onerror=alert(1)> 100% Größe";
    let at = Utc::now().to_rfc3339();
    server
        .report(&json!([
            {"type": "task_completed", "task_id": "1", "task_name": name, "timestamp": at, "duration_ms": 320},
            {"type": "task_failed", "task_id": "2", "task_name": name, "timestamp": at, "error_message": "<script>alert(1)</script>"},
        ]))
        .await;
    server.executions(2).await;
    let path = taskscope::components::url::task_type(name);
    let page = async |path: &str| {
        let response = server.get(path).await;
        assert_eq!(response.status(), 200, "{path}");
        response.text().await.unwrap()
    };
    let html = page(&format!("{path}?time_window=1")).await;
    assert!(html.contains(r#"data-figure="total" class="number">2<"#) && html.contains("320ms"), "{html}");
    assert!(
        html.contains("a/b &lt;/title&gt;&lt;img")
            && html.contains("100% Größe")
            && !html.contains("<img src=x")
            && !html.contains("<script>alert"),
        "{html}"
    );
    assert!(!html.contains(" style="), "the policy allows no inline styles");
    let overview = page("/monitoring").await;
    assert!(overview.contains(&format!("href=\"{path}\"")) && overview.contains("data-chart=\"throughput\""), "{overview}");
    let empty = page("/monitoring/tasks/nobody-runs-this?time_window=168").await;
    assert!(empty.contains("No executions in this window") && empty.contains("No failures in this window"), "{empty}");
    let wrong = page("/monitoring/tasks/t?time_window=0").await;
    assert!(wrong.contains("This address is not understood") && wrong.contains("time_window must be a whole number"), "{wrong}");
    assert!(page("/monitoring/tasks").await.contains("What Taskscope's own worker runs."));
}
