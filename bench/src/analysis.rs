//! An analysis run of many messages by the keyword rules: how long it takes, how often its progress moves, and what memory it needs.

use std::time::{Duration, Instant};

use anyhow::Context;
use futures::StreamExt;
use serde_json::{Value, json};
use tokio_tungstenite::{connect_async, tungstenite::Message};

use crate::{
    figure::{Figure, percentile},
    program::Program,
};

/// Messages of the small run, whose memory is the yardstick, and of the large one.
const RUNS: [usize; 2] = [1_000, 10_000];
/// Milliseconds that its progress may stand still.
const BAR: f64 = 500.0;
/// How often memory is looked at.
const LOOK: Duration = Duration::from_millis(100);

pub(crate) async fn measure() -> anyhow::Result<Vec<Figure>> {
    let program = Program::start_working().await?;
    let small = Outcome::of(&program, 2024, RUNS[0]).await?;
    let mut large = Outcome::of(&program, 2025, RUNS[1]).await?;
    let seconds = large.took.as_secs_f64();
    let gap = percentile(&mut large.gaps_ms, 100.0);
    Ok(vec![
        Figure::new(
            format!("analysis run of {} messages, keyword rules", RUNS[1]),
            format!("{seconds:.1} s, {} batches", large.batches),
        ),
        Figure::new("longest time between two moves of its progress", format!("{gap:.0} ms")).bar("≤ 500 ms", gap <= BAR),
        Figure::new("largest memory of server and worker during it", format!("{:.0} MB", large.peak_mb))
            .against(format!("{:.0} MB with {} messages", small.peak_mb, RUNS[0]), large.peak_mb / small.peak_mb),
    ])
}

struct Outcome {
    took: Duration,
    batches: i64,
    gaps_ms: Vec<f64>,
    peak_mb: f64,
}

impl Outcome {
    /// Stores messages of a year of their own, and runs an analysis of them.
    async fn of(program: &Program, year: i32, messages: usize) -> anyhow::Result<Self> {
        let message = |number: usize| {
            let (day, minute) = (1 + number / 1440, number % 1440);
            json!({
                "author": format!("Author {}", number % 7), "external_id": format!("{year}-{number}"),
                "content": format!("bug: import {number} fails with a timeout after the deploy, see HRB-{number}, urgent"),
                "sent_at": format!("{year}-01-{day:02}T{:02}:{:02}:00Z", minute / 60, minute % 60),
            })
        };
        let all: Vec<Value> = (0..messages).map(message).collect();
        program.post("/api/v1/messages", json!(all).to_string()).await?;
        let url = format!("{}/ws", program.base.replace("http", "ws"));
        let (mut socket, _) = connect_async(url).await?;
        let began = Instant::now();
        let id = start(program, year).await?;
        let (mut last, mut gaps_ms, mut peak_mb) = (None::<Instant>, Vec::new(), program.megabytes()?);
        let mut look = tokio::time::interval(LOOK);
        loop {
            let message = tokio::select! {
                _ = look.tick() => {
                    peak_mb = peak_mb.max(program.megabytes()?);
                    continue;
                }
                message = socket.next() => message.context("the stream ended")??,
            };
            let Message::Text(text) = message else { continue };
            let event: Value = serde_json::from_str(&text)?;
            let data = &event["data"];
            if data["run_id"] != *id && data["id"] != *id {
                continue;
            }
            let now = Instant::now();
            gaps_ms.extend(last.replace(now).map(|last| (now - last).as_secs_f64() * 1000.0));
            match event["event"].as_str() {
                Some("run_completed") => {
                    let batches = data["batches_done"].as_i64().unwrap_or_default();
                    return Ok(Self { took: began.elapsed(), batches, gaps_ms, peak_mb });
                }
                Some("run_failed") => anyhow::bail!("the run failed: {}", data["error_log"]),
                _ => {}
            }
        }
    }
}

async fn start(program: &Program, year: i32) -> anyhow::Result<String> {
    let get = async |method: reqwest::Method, path: String, body: Value| -> anyhow::Result<Value> {
        let request = program.http.request(method, format!("{}{path}", program.base)).header("content-type", "application/json");
        let answer = request.body(body.to_string()).send().await?.error_for_status()?;
        Ok(serde_json::from_str(&answer.text().await?)?)
    };
    let assignments = get(reqwest::Method::GET, "/api/v1/assignments?active_only=true".to_owned(), json!({})).await?;
    let window = json!({
        "time_window_start": format!("{year}-01-01T00:00:00Z"), "time_window_end": format!("{year}-02-01T00:00:00Z"),
        "agent_assignment_id": assignments[0]["id"],
    });
    let run = get(reqwest::Method::POST, "/api/v1/analysis/runs".to_owned(), window).await?;
    let id = run["id"].as_str().context("a run has an id")?.to_owned();
    get(reqwest::Method::POST, format!("/api/v1/analysis/runs/{id}/start"), json!({})).await?;
    Ok(id)
}
