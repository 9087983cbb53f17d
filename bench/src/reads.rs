//! Pages and the API with many executions.

use std::time::Instant;

use chrono::{TimeDelta, Utc};

use crate::{Figure, percentile, program::Program};

const ROUNDS: usize = 40;

pub(crate) async fn measure(program: &Program, rows: i64) -> anyhow::Result<Vec<Figure>> {
    fill(program, rows).await?;
    let week = (Utc::now() - TimeDelta::days(7)).format("%Y-%m-%dT%H:%M:%SZ");
    let count = yardstick(program).await?;
    let history = "/api/v1/monitoring/history";
    let last = rows / 30 * 7 / 50;
    let cases = [
        ("`GET /monitoring`, whole HTML with real numbers".to_owned(), "/monitoring".to_owned()),
        ("`GET /monitoring/history?status=failed`, whole HTML".to_owned(), "/monitoring/history?status=failed".to_owned()),
        ("metrics, 24 h".to_owned(), "/api/v1/monitoring/metrics".to_owned()),
        ("history, 7 days, first page, exact total".to_owned(), format!("{history}?start_date={week}")),
        (format!("history, 7 days, page {last}"), format!("{history}?start_date={week}&page={last}")),
        (
            "history, 7 days, one task type and status".to_owned(),
            format!("{history}?start_date={week}&task_name=bench_task_3&status=failed"),
        ),
    ];
    let mut figures = Vec::new();
    for (what, path) in cases {
        let mut samples = Vec::new();
        for round in 0..ROUNDS + 5 {
            let began = Instant::now();
            program.get(&path).await?;
            if round >= 5 {
                samples.push(began.elapsed().as_secs_f64() * 1000.0);
            }
        }
        let (p50, p95) = (percentile(&mut samples, 50.0), percentile(&mut samples, 95.0));
        figures.push(
            Figure::new(format!("{what}, {rows} executions"), format!("p50 {p50:.1} ms, p95 {p95:.1} ms"))
                .against(format!("`select count(*)` of 7 days: {count:.1} ms"), p50 / count),
        );
    }
    Ok(figures)
}

/// Thirty days of executions of forty task types, three per cent failed.
async fn fill(program: &Program, rows: i64) -> anyhow::Result<()> {
    let mut connection = program.pool.acquire().await?;
    sqlx::raw_sql(
        "set session_replication_role = replica;
         truncate task_execution_logs;
         select taskscope_ensure_partition(day::date) from generate_series(now() - interval '31 days', now(), interval '1 day') day",
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        r#"insert into task_execution_logs (task_name, status, task_id, params, started_at, completed_at, duration_ms, created_at, error_message, error_traceback, source)
           select 'bench_task_' || (40 * power(random(), 2))::integer, case when failed then 'failed' else 'success' end, md5(i::text),
                  jsonb_build_object('message_id', i), at, at + interval '1 second', (random() * 1000)::bigint, at,
                  case when failed then 'ConnectionError: connection refused by host ' || i end,
                  case when failed then repeat('  File "app/tasks.py", line 42, in run' || chr(10), 20) end, 'native'
           from (select i, now() - interval '30 days' * random() as at, random() < 0.03 as failed from generate_series(1, $1) i) made"#,
    )
    .bind(rows)
    .execute(&mut *connection)
    .await?;
    sqlx::raw_sql("set session_replication_role = origin; analyze task_execution_logs; checkpoint")
        .execute(&mut *connection)
        .await?;
    Ok(())
}

/// Milliseconds that Postgres takes to count seven days of rows, in the middle of some tries.
async fn yardstick(program: &Program) -> anyhow::Result<f64> {
    let mut samples = Vec::new();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let _: i64 = sqlx::query_scalar("select count(*) from task_execution_logs where created_at >= now() - interval '7 days'")
            .fetch_one(&program.pool)
            .await?;
        samples.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(percentile(&mut samples, 50.0))
}
