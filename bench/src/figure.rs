//! What was measured, and how it is told.

use std::time::{Duration, Instant};

/// One line of a table.
#[derive(Debug)]
pub(crate) struct Figure {
    what: String,
    value: String,
    yardstick: String,
    ratio: String,
    bar: String,
    met: Option<bool>,
}

impl Figure {
    pub(crate) fn new(what: impl Into<String>, value: impl Into<String>) -> Self {
        let none = || "–".to_owned();
        Self { what: what.into(), value: value.into(), yardstick: none(), ratio: none(), bar: none(), met: None }
    }

    /// A part that could not be measured.
    pub(crate) fn failed(what: &str, error: &anyhow::Error) -> Self {
        let reason = format!("{error:#}").replace('|', "\\|").replace('\n', " ");
        Self { met: Some(false), ..Self::new(what, format!("not measured: {reason}")) }
    }

    /// Adds a measurement of the same run, and how large the figure is beside it.
    pub(crate) fn against(mut self, yardstick: impl Into<String>, ratio: f64) -> Self {
        self.yardstick = yardstick.into();
        self.ratio = match ratio {
            small if small > 0.0 && small < 0.1 => format!("1/{:.0}", 1.0 / small),
            other => format!("{other:.2}"),
        };
        self
    }

    /// Adds what must be reached, and whether it is.
    pub(crate) fn bar(mut self, bar: impl Into<String>, met: bool) -> Self {
        self.bar = bar.into();
        self.met = Some(met);
        self
    }
}

/// Prints a table in Markdown.
pub(crate) fn print(title: &str, figures: &[Figure]) {
    if figures.is_empty() {
        return;
    }
    println!("### {title}\n\n| what | figure | yardstick of the same run | ratio | bar | met |\n|---|---|---|---|---|---|");
    for Figure { what, value, yardstick, ratio, bar, met } in figures {
        let met = met.map_or("–", |met| if met { "yes" } else { "**no**" });
        println!("| {what} | {value} | {yardstick} | {ratio} | {bar} | {met} |");
    }
    println!();
}

/// A number of rows as people say it: 100k, 10M.
pub(crate) fn size_word(rows: u64) -> String {
    match rows {
        rows if rows >= 1_000_000 && rows.is_multiple_of(100_000) => format!("{}M", rows as f64 / 1e6),
        rows if rows.is_multiple_of(1000) => format!("{}k", rows / 1000),
        rows => rows.to_string(),
    }
}

/// Milliseconds that something took, again and again.
#[derive(Debug, Clone, Default)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    /// Runs something so many times, one after the other, but only as long as half a minute, and at least three times.
    pub(crate) async fn of(rounds: usize, mut run: impl AsyncFnMut(usize) -> anyhow::Result<()>) -> anyhow::Result<Self> {
        const LONGEST: Duration = Duration::from_secs(30);
        let (all, mut samples) = (Instant::now(), Self::default());
        for round in 0..rounds {
            if round >= 3 && all.elapsed() > LONGEST {
                break;
            }
            let began = Instant::now();
            run(round).await?;
            samples.push(began.elapsed());
        }
        Ok(samples)
    }

    pub(crate) fn push(&mut self, took: Duration) {
        self.0.push(took.as_secs_f64() * 1000.0);
    }

    pub(crate) fn p50(&self) -> f64 {
        self.percentile(50.0)
    }

    pub(crate) fn p95(&self) -> f64 {
        self.percentile(95.0)
    }

    pub(crate) fn worst(&self) -> f64 {
        self.percentile(100.0)
    }

    /// Both percentiles, to be read.
    pub(crate) fn text(&self) -> String {
        format!("p50 {:.1} ms, p95 {:.1} ms", self.p50(), self.p95())
    }

    fn percentile(&self, percent: f64) -> f64 {
        percentile(&mut self.0.clone(), percent)
    }
}

/// The value below which so many per cent of the samples lie, by nearest rank.
pub(crate) fn percentile(samples: &mut [f64], percent: f64) -> f64 {
    samples.sort_by(f64::total_cmp);
    let place = (samples.len() as f64 * percent / 100.0).ceil() as usize;
    samples.get(place.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}
