//! Whether the API tells of the rows as they are.

use std::collections::BTreeMap;

use anyhow::Context;
use sqlx::PgConnection;
use taskscope_wire::{DeadLetter, Execution, HistoryPage, Metrics, Page, TaskStatus};

use crate::{judge::Row, server::Server};

/// Executions that are asked for one by one.
const SAMPLE: i64 = 40;

/// What differs.
pub(crate) async fn compare(server: &Server, connection: &mut PgConnection) -> anyhow::Result<Vec<String>> {
    let mut flaws = totals(server, connection).await?;
    flaws.extend(executions(server, connection).await?);
    let letters: Page<DeadLetter> = server.ask("/api/v1/dead-letters").await?;
    if letters.total_count != 0 {
        flaws.push(format!("{} dead letters", letters.total_count));
    }
    flaws.extend(counts(server).await?);
    Ok(flaws)
}

/// Totals of every task type and status, and the history's.
async fn totals(server: &Server, connection: &mut PgConnection) -> anyhow::Result<Vec<String>> {
    let rows: Vec<(String, String, i64)> =
        sqlx::query_as("select task_name, status, count(*) from task_execution_logs group by 1, 2").fetch_all(connection).await?;
    let stored: BTreeMap<(&str, &str), i64> =
        rows.iter().map(|(name, status, count)| ((name.as_str(), status.as_str()), *count)).collect();
    let metrics: Metrics = server.ask("/api/v1/monitoring/metrics?time_window=24").await?;
    let mut told = BTreeMap::new();
    for entry in &metrics.metrics {
        for status in TaskStatus::ALL.into_iter().filter(|status| entry.count(*status) != 0) {
            told.insert((entry.task_name.as_str(), status.as_str()), entry.count(status));
        }
    }
    let mut flaws = Vec::new();
    if told != stored {
        flaws.push(format!("metrics tell {told:?}, and there are {stored:?}"));
    }
    for status in TaskStatus::ALL {
        let page: HistoryPage = server.ask(&format!("/api/v1/monitoring/history?page_size=1&status={status}")).await?;
        let count: i64 = stored.iter().filter(|((_, word), _)| *word == status.as_str()).map(|(_, count)| count).sum();
        if page.total_count != count {
            flaws.push(format!("the history tells of {} {status} executions, and there are {count}", page.total_count));
        }
    }
    Ok(flaws)
}

/// Some executions, spread over all.
async fn executions(server: &Server, connection: &mut PgConnection) -> anyhow::Result<Vec<String>> {
    let ids: Vec<i64> = sqlx::query_scalar(
        "select id from (select id, row_number() over (order by id) as place, count(*) over () as total from task_execution_logs) rows
         where place % greatest(1, total / $1) = 0",
    )
    .bind(SAMPLE)
    .fetch_all(&mut *connection)
    .await?;
    let mut flaws = Vec::new();
    for id in ids {
        let row: Row = sqlx::query_as(
            "select task_id, attempt, task_name, status, error_message, params::text as params, queued_at, started_at, completed_at
             from task_execution_logs where id = $1",
        )
        .bind(id)
        .fetch_one(&mut *connection)
        .await?;
        let told: Execution = server.ask(&format!("/api/v1/monitoring/executions/{id}")).await?;
        if !is_told_by(&row, &told) {
            flaws.push(format!("execution {id} is {row:?}, and is told as {told:?}"));
        }
    }
    Ok(flaws)
}

fn is_told_by(row: &Row, told: &Execution) -> bool {
    let value = |text: Option<&str>| text.and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok());
    let params = told.params.as_ref().map(taskscope_wire::Json::as_str);
    (&row.task_id, row.attempt, &row.task_name, row.status.as_str(), &row.error_message)
        == (&told.task_id, told.attempt, &told.task_name, told.status.as_str(), &told.error_message)
        && (row.queued_at, row.started_at, row.completed_at) == (told.queued_at, told.started_at, told.completed_at)
        && value(row.params.as_deref()) == value(params)
}

/// What the program's own proof of its counts says.
async fn counts(server: &Server) -> anyhow::Result<Option<String>> {
    let mut command = tokio::process::Command::from(server.command());
    let output = command.arg("check").output().await.context("taskscope check can't be called")?;
    Ok((!output.status.success()).then(|| {
        let [told, said] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
        format!("taskscope check: {told}{said}")
    }))
}
