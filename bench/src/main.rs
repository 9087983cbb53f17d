//! Measures a whole running Taskscope: its release program with its own Postgres, asked as workers and browsers ask it.
//!
//! Prints tables in Markdown. Where a figure depends on the machine, a yardstick from the same run stands beside it, and their ratio.

mod analysis;
mod browser;
mod data;
mod figure;
mod history;
mod ingest;
mod latency;
mod load;
mod memory;
mod metrics;
mod overhead;
mod program;
mod retention;
mod search;
mod totals;

use std::time::Instant;

use anyhow::{Context, bail, ensure};

use data::DataSet;
use figure::{Figure, print, size_word};
use program::Program;

const PARTS: [&str; 11] =
    ["data", "ingest", "latency", "overhead", "memory", "browser", "analysis", "history", "metrics", "search", "retention"];
/// The size at which search for a rare term is judged; the rest is judged at the largest.
const SEARCHED: u64 = 1_000_000;

/// Arguments name the parts to measure; without any, all are. `TASKSCOPE_BENCH_SIZES` names the sizes, smallest first: `100k,1M,10M`.
#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let chosen = Chosen::new(std::env::args().skip(1).collect())?;
    let sizes = sizes(&std::env::var("TASKSCOPE_BENCH_SIZES").unwrap_or_else(|_| "100k,1M,10M".to_owned()))?;
    let began = Instant::now();
    print("Events in, live messages out", &events(&chosen).await);
    let stored = stored(&chosen, &sizes).await;
    print("Ten million executions", &stored.figures);
    print("Pages of the history", &stored.pages);
    print("Hard searches", &stored.searches);
    print("The browser", &stored.browser);
    if chosen.has("analysis") {
        let mut figures = Vec::new();
        add(&mut figures, "an analysis run", analysis::measure()).await;
        print("An analysis run", &figures);
    }
    eprintln!("measured in {:.0} s", began.elapsed().as_secs_f64());
    Ok(())
}

/// The parts that are wanted.
struct Chosen(Vec<String>);

impl Chosen {
    fn new(parts: Vec<String>) -> anyhow::Result<Self> {
        if let Some(unknown) = parts.iter().find(|part| !PARTS.contains(&part.as_str())) {
            bail!("there is no part {unknown}: choose from {}", PARTS.join(", "));
        }
        Ok(Self(parts))
    }

    fn has(&self, part: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|chosen| chosen == part)
    }
}

/// Reads numbers of rows such as 100k and 10M.
fn sizes(text: &str) -> anyhow::Result<Vec<u64>> {
    let size = |word: &str| {
        let (digits, unit) = match word.trim() {
            word if word.ends_with('M') => (word.trim_end_matches('M'), 1_000_000),
            word if word.ends_with('k') => (word.trim_end_matches('k'), 1000),
            word => (word, 1),
        };
        let rows = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
        rows.filter(|rows| *rows >= 10_000)
            .with_context(|| format!("TASKSCOPE_BENCH_SIZES must be numbers from 10k up, as in 100k,1M,10M, not {word:?}"))
    };
    let sizes = text.split(',').map(size).collect::<anyhow::Result<Vec<u64>>>()?;
    ensure!(sizes.is_sorted(), "TASKSCOPE_BENCH_SIZES must name the smallest size first");
    Ok(sizes)
}

/// Measures something, or says why it could not be measured.
async fn add(figures: &mut Vec<Figure>, what: &str, measured: impl Future<Output = anyhow::Result<impl Into<Figures>>>) {
    eprintln!("{what}");
    match measured.await {
        Ok(measured) => figures.extend(measured.into().0),
        Err(error) => {
            eprintln!("  {error:#}");
            figures.push(Figure::failed(what, &error));
        }
    }
}

/// One figure or several.
struct Figures(Vec<Figure>);

impl From<Figure> for Figures {
    fn from(figure: Figure) -> Self {
        Self(vec![figure])
    }
}

impl From<Vec<Figure>> for Figures {
    fn from(figures: Vec<Figure>) -> Self {
        Self(figures)
    }
}

/// What needs no data set, on an empty program.
async fn events(chosen: &Chosen) -> Vec<Figure> {
    let mut figures = Vec::new();
    if !["ingest", "latency", "overhead", "memory"].iter().any(|part| chosen.has(part)) {
        return figures;
    }
    let program = match Program::start().await {
        Ok(program) => program,
        Err(error) => return vec![Figure::failed("an empty program", &error)],
    };
    if chosen.has("memory") {
        add(
            &mut figures,
            "memory of an empty server",
            memory::idle(&program, "memory of the server, idle, empty database".to_owned()),
        )
        .await;
    }
    if chosen.has("ingest") {
        add(&mut figures, "ingest", ingest::measure(&program)).await;
    }
    if chosen.has("latency") {
        add(&mut figures, "latency", latency::measure(&program)).await;
    }
    if chosen.has("memory") {
        add(&mut figures, "memory under load", memory::busy(&program)).await;
    }
    if chosen.has("overhead") {
        add(&mut figures, "what reporting adds to a task", overhead::measure(&program)).await;
    }
    figures
}

/// What was measured on data sets and in the browser.
#[derive(Default)]
struct Stored {
    figures: Vec<Figure>,
    /// Of each size, smallest first.
    sizes: Vec<(u64, Vec<history::Pages>)>,
    pages: Vec<Figure>,
    searches: Vec<Figure>,
    browser: Vec<Figure>,
}

async fn stored(chosen: &Chosen, sizes: &[u64]) -> Stored {
    let mut stored = Stored::default();
    for rows in sizes.iter().copied() {
        let roles = Roles {
            largest: sizes.last() == Some(&rows),
            searched: sizes.iter().rfind(|rows| **rows <= SEARCHED) == Some(&rows),
        };
        if !roles.is_needed(chosen) {
            continue;
        }
        let size = size_word(rows);
        eprintln!("opening the data set of {size} rows");
        if let Err(error) = stored.measure(chosen, rows, roles).await {
            eprintln!("  {error:#}");
            stored.figures.push(Figure::failed(&format!("the data set of {size} rows"), &error));
        }
    }
    stored.pages.extend(history::compare(&stored.sizes));
    if chosen.has("browser") {
        let loaded = async { browser::under_load(&Program::start().await?).await };
        add(&mut stored.browser, "the browser under load", loaded).await;
    }
    stored
}

/// What is judged at a size.
#[derive(Debug, Clone, Copy)]
struct Roles {
    /// Most is.
    largest: bool,
    /// The search for a rare term is.
    searched: bool,
}

impl Roles {
    fn is_needed(self, chosen: &Chosen) -> bool {
        let judged = ["metrics", "retention", "memory", "browser", "search"];
        ["data", "history"].iter().any(|part| chosen.has(part))
            || self.searched && chosen.has("search")
            || self.largest && judged.iter().any(|part| chosen.has(part))
    }
}

impl Stored {
    async fn measure(&mut self, chosen: &Chosen, rows: u64, roles: Roles) -> anyhow::Result<()> {
        let size = size_word(rows);
        let set = DataSet::open(rows, &mut self.figures).await?;
        if roles.largest && chosen.has("memory") {
            add(&mut self.figures, "memory, idle", memory::idle(&set.program, format!("memory of the server, idle, {size}")))
                .await;
        }
        if chosen.has("history") {
            eprintln!("history pages of {size}");
            match history::measure(&set).await {
                Ok(measured) => self.sizes.push((rows, measured)),
                Err(error) => self.pages.push(Figure::failed(&format!("history pages of {size}"), &error)),
            }
        }
        if roles.searched && chosen.has("search") {
            add(&mut self.figures, "search for a rare term", search::rare(&set)).await;
        }
        if roles.largest {
            self.judge(chosen, &set).await;
        }
        set.program.stop().await
    }

    async fn judge(&mut self, chosen: &Chosen, set: &DataSet) {
        let Self { figures, searches, browser, .. } = self;
        if chosen.has("history") {
            add(figures, "an exact total", totals::total(set)).await;
            for days in [7, data::DAYS] {
                add(figures, &format!("the last page of {days} days"), totals::last_page(set, days)).await;
            }
        }
        if chosen.has("metrics") {
            add(figures, "pages and metrics", metrics::measure(set)).await;
            add(figures, "percentiles", metrics::percentiles(set)).await;
        }
        if chosen.has("browser") {
            add(browser, "the first page in the browser", browser::first_page(&set.program)).await;
        }
        if chosen.has("search") {
            add(searches, "hard searches", search::nasty(set)).await;
        }
        if chosen.has("retention") {
            add(figures, "dropping a day", retention::measure(set)).await;
        }
    }
}
