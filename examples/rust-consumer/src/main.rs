//! Prints metrics and failed executions of a running Taskscope: `rust-consumer http://127.0.0.1:3000`.
//!
//! The calls are Taskscope's own server functions, and the types are its own: nothing here is a copy that could fall behind.

use std::process::ExitCode;

use taskscope::server_fns::{get_history, get_metrics, set_api_token};
use taskscope_wire::{Execution, HistoryQuery, TaskMetrics, TaskStatus, time_window};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let url = std::env::args().nth(1).unwrap_or_else(|| "http://127.0.0.1:3000".to_owned());
    match report(url).await {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("rust-consumer: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn report(url: String) -> anyhow::Result<String> {
    // Set once for the life of the program, which is what the function asks for.
    server_fn::client::set_server_url(url.trim_end_matches('/').to_owned().leak());
    // Only a server that asks for a login wants one; that of a viewer is enough.
    if let Ok(token) = std::env::var("TASKSCOPE_API_TOKEN") {
        set_api_token(&token)?;
    }
    let metrics = get_metrics(time_window::DEFAULT).await?;
    let failed = get_history(HistoryQuery { status: vec![TaskStatus::Failed], ..HistoryQuery::default() }).await?;
    Ok(format!(
        "Last {} hours:\n{}\nFailed executions ({} of {}):\n{}",
        metrics.time_window_hours,
        metrics_table(&metrics.metrics),
        failed.items.len(),
        failed.total_count,
        failed.items.iter().map(failure).collect::<String>(),
    ))
}

fn metrics_table(metrics: &[TaskMetrics]) -> String {
    let width = metrics.iter().map(|metrics| metrics.task_name.chars().count()).max().unwrap_or(0);
    let header = ["total", "queued", "active", "success", "failed"].map(|name| format!("{name:>9}")).concat();
    let mut table = format!("{:width$}{header}{:>14}{:>14}\n", "task", "avg duration", "success rate");
    for metrics in metrics {
        let TaskMetrics { task_name, total_executions, pending, running, success, failed, .. } = metrics;
        let counts = [total_executions, pending, running, success, failed].map(|count| format!("{count:>9}")).concat();
        let mean = optional(metrics.avg_duration_ms, "ms");
        let rate = optional(metrics.success_rate, "%");
        table.push_str(&format!("{task_name:width$}{counts}{mean:>14}{rate:>14}\n"));
    }
    table
}

fn optional(value: Option<f64>, unit: &str) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.1} {unit}"))
}

fn failure(execution: &Execution) -> String {
    let when = execution.completed_at.unwrap_or(execution.created_at).format("%Y-%m-%d %H:%M:%S");
    let error = execution.error_message.as_deref().and_then(|message| message.lines().next()).unwrap_or("(no message)");
    format!("{when}  {}  attempt {}  {error}\n", execution.task_name, execution.attempt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_line_a_task_type_and_dashes_where_there_is_no_value() {
        let mut busy = TaskMetrics::empty("score_message_task");
        busy.add(TaskStatus::Success, Some(200), 1);
        busy.add(TaskStatus::Failed, None, 1);
        let table = metrics_table(&[busy, TaskMetrics::empty("idle")]);
        let words: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(words[1], ["score_message_task", "2", "0", "0", "1", "1", "200.0", "ms", "50.0", "%"]);
        assert_eq!(words[2], ["idle", "0", "0", "0", "0", "0", "–", "–"]);
    }
}
