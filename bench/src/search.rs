//! Search: a rare term against the scan without an index, and queries that are hard.

use std::time::{Duration, Instant};

use anyhow::ensure;
use serde::Deserialize;
use taskscope_wire::{HistoryPage, HistoryQuery};

use crate::{
    data::{CHATS, DataSet, RARE_TERM},
    figure::{Figure, Samples, size_word},
    history::path,
};

const ROUNDS: usize = 20;
/// How much less than the scan a rare term may take.
const RARE: f64 = 1.0 / 20.0;
/// What no query may exceed.
const LIMIT: Duration = Duration::from_secs(1);

pub(crate) async fn rare(set: &DataSet) -> anyhow::Result<Figure> {
    let path = search(RARE_TERM);
    let found: HistoryPage = set.program.ask(&path).await?;
    let ours = Samples::of(ROUNDS, async |_| set.program.get(&path).await.map(drop)).await?;
    let mut connection = set.program.pool.acquire().await?;
    sqlx::raw_sql(
        "begin; set local enable_bitmapscan = off; set local enable_indexscan = off; set local enable_indexonlyscan = off",
    )
    .execute(&mut *connection)
    .await?;
    let mut count = 0_i64;
    let theirs = Samples::of(3, async |_| {
        count = sqlx::query_scalar(
            "select count(*) from task_execution_logs
             where error_message ilike $1 or error_traceback ilike $1 or task_id ilike $1 or params::text ilike $1",
        )
        .bind(format!("%{RARE_TERM}%"))
        .fetch_one(&mut *connection)
        .await?;
        Ok(())
    })
    .await?;
    sqlx::raw_sql("rollback").execute(&mut *connection).await?;
    ensure!(found.searched_back_to.is_none(), "the search for a rare term gave up at {:?}", found.searched_back_to);
    ensure!(found.total_count == count, "the search finds {} executions, the scan {count}", found.total_count);
    let ratio = ours.p50() / theirs.p50();
    let what = format!("search for a term in {count} of {} executions", size_word(set.rows));
    Ok(Figure::new(what, ours.text())
        .against(format!("scan without an index: {}", theirs.text()), ratio)
        .bar("≤ 1/20", ratio <= RARE))
}

/// Queries that nobody should ask, each three times.
pub(crate) async fn nasty(set: &DataSet) -> anyhow::Result<Vec<Figure>> {
    let oldest: String = sqlx::query_scalar("select task_id from task_execution_logs order by created_at limit 1")
        .fetch_one(&set.program.pool)
        .await?;
    let long = format!("\"{}\"", "connection refused by ".repeat(20).trim_end());
    let chat = format!("params.chat:{}", CHATS[0]);
    let queries = [
        RARE_TERM,
        "xylophonist",
        "connection refused",
        "error",
        "%%%",
        "___",
        "\\\\\\",
        "429",
        "the",
        "a b c d",
        "e",
        "in",
        "\"File\" \"line\"",
        &oldest,
        &long,
        "status:failed task:score_* \"connection refused\"",
        "params.message_id:42",
        &chat,
        "duration:>2s",
        "duration:>1000s",
        "worker:nobody",
        "-queue:default",
        "-status:success",
        "(openai or author)",
        "(xylophonist OR connection) -refused",
        "task:*e*",
        "status:success xylophonist",
        "params.flags.urgent:true status:failed",
        "-connection -timeout -message",
    ];
    let mut figures = Vec::new();
    for query in queries {
        figures.push(one(set, query).await?);
    }
    Ok(figures)
}

async fn one(set: &DataSet, query: &str) -> anyhow::Result<Figure> {
    let path = search(query);
    let (mut samples, mut outcome, mut answered) = (Samples::default(), String::new(), true);
    for _ in 0..3 {
        let began = Instant::now();
        let answer = set.program.http.get(format!("{}{path}", set.program.base)).send().await?;
        let (status, body) = (answer.status(), answer.bytes().await?);
        samples.push(began.elapsed());
        answered &= !status.is_server_error();
        outcome = outcome_of(status, &body)?;
    }
    let shown: String = query.chars().take(60).collect();
    let worst = samples.worst();
    let met = answered && worst <= LIMIT.as_secs_f64() * 1000.0;
    let what = format!("search for `{shown}`, {}", size_word(set.rows));
    Ok(Figure::new(what.replace('|', "\\|"), format!("{worst:.0} ms: {outcome}")).bar("≤ 1 s", met))
}

fn outcome_of(status: reqwest::StatusCode, body: &[u8]) -> anyhow::Result<String> {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
    }
    if !status.is_success() {
        let why = serde_json::from_slice::<Refusal>(body).map_or_else(|_| String::new(), |refusal| refusal.error);
        return Ok(format!("{} {}", status.as_u16(), why.replace('|', "\\|")));
    }
    let page: HistoryPage = serde_json::from_slice(body)?;
    let back = page.searched_back_to.map(|back| format!(", back to {}", back.format("%Y-%m-%d %H:%M"))).unwrap_or_default();
    Ok(format!("{} found{back}", page.total_count))
}

fn search(words: &str) -> String {
    path(&HistoryQuery { q: Some(words.to_owned()), ..HistoryQuery::default() })
}
