//! Measures a whole running Taskscope: its release program with its own Postgres, asked as workers and browsers ask it.
//!
//! Prints a table in Markdown. Where a figure depends on the machine, a yardstick from the same run stands beside it, and their ratio.

mod analysis;
mod ingest;
mod latency;
mod overhead;
mod program;
mod reads;

use program::Program;

/// One line of the table.
#[derive(Debug)]
struct Figure {
    what: String,
    value: String,
    yardstick: String,
    ratio: String,
}

impl Figure {
    fn new(what: impl Into<String>, value: impl Into<String>) -> Self {
        Self { what: what.into(), value: value.into(), yardstick: "–".to_owned(), ratio: "–".to_owned() }
    }

    fn against(mut self, yardstick: impl Into<String>, ratio: f64) -> Self {
        self.yardstick = yardstick.into();
        self.ratio = format!("{ratio:.2}");
        self
    }
}

const PARTS: [&str; 5] = ["analysis", "ingest", "latency", "overhead", "reads"];

/// Arguments name the parts to measure; without any, all are.
#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let rows: i64 = std::env::var("TASKSCOPE_BENCH_ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(1_000_000);
    let chosen: Vec<String> = std::env::args().skip(1).collect();
    if let Some(unknown) = chosen.iter().find(|part| !PARTS.contains(&part.as_str())) {
        anyhow::bail!("there is no part {unknown}: choose from {}", PARTS.join(", "));
    }
    let wanted = |part: &str| chosen.is_empty() || chosen.iter().any(|chosen| chosen == part);
    let program = Program::start().await?;
    let mut figures = vec![Figure::new("memory of the server, idle, empty database", program.memory()?)];
    if wanted("ingest") {
        eprintln!("ingest");
        figures.extend(ingest::measure(&program).await?);
    }
    if wanted("latency") {
        eprintln!("latency at 1,000 events a second with 200 watchers");
        figures.extend(latency::measure(&program).await?);
    }
    if wanted("overhead") {
        eprintln!("what reporting adds to a task");
        figures.extend(overhead::measure(&program).await?);
    }
    figures.push(Figure::new("memory of the server after that", program.memory()?));
    if wanted("reads") {
        eprintln!("reads with {rows} executions");
        figures.extend(reads::measure(&program, rows).await?);
    }
    drop(program);
    if wanted("analysis") {
        eprintln!("an analysis run");
        figures.extend(analysis::measure().await?);
    }
    println!("| what | figure | yardstick of the same run | ratio |\n|---|---|---|---|");
    for Figure { what, value, yardstick, ratio } in figures {
        println!("| {what} | {value} | {yardstick} | {ratio} |");
    }
    Ok(())
}

/// The value below which so many per cent of the samples lie.
fn percentile(samples: &mut [f64], percent: f64) -> f64 {
    samples.sort_by(f64::total_cmp);
    let place = (samples.len() as f64 * percent / 100.0).ceil() as usize;
    samples.get(place.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}
