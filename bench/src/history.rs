//! Pages of the history: first, any and last, with every combination of filters of task type, status and dates, at every size.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use taskscope_wire::{HistoryPage, HistoryQuery, TaskStatus};

use crate::{
    data::{DataSet, KINDS},
    figure::{Figure, Samples, size_word},
};

const ROUNDS: u64 = 60;
/// Rounds before those, which aren't measured: the server's connections, which take turns, get to know the query.
const WARM_UP: u64 = 10;
/// Of one kind of page, at most so long.
const LONGEST: Duration = Duration::from_secs(20);
/// The bars: milliseconds, and times the smallest size.
const BAR: f64 = 20.0;
const FLAT: f64 = 3.0;

const PLACES: [Place; 3] = [Place::First, Place::Random, Place::Last];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    First,
    Random,
    Last,
}

/// Which filters are set, each to values that change from round to round.
#[derive(Debug, Clone, Copy)]
struct Filters {
    task: bool,
    status: bool,
    dates: bool,
}

/// How long one kind of page takes at one size.
#[derive(Debug)]
pub(crate) struct Pages {
    filters: Filters,
    place: Place,
    samples: Samples,
}

/// The path of a page.
pub(crate) fn path(query: &HistoryQuery) -> String {
    let params: String = query.to_params().iter().map(|(name, value)| format!("&{name}={}", escape(value))).collect();
    format!("/api/v1/monitoring/history?page_size={}{params}", query.page_size)
}

/// Percent-encodes what a URL may not hold as it is.
fn escape(value: &str) -> String {
    reqwest::Url::parse_with_params("http://localhost", [("v", value)])
        .map_or_else(|_| value.to_owned(), |url| url.query().unwrap_or_default().trim_start_matches("v=").to_owned())
}

/// All kinds of pages, in an order that is the same for every set.
pub(crate) async fn measure(set: &DataSet) -> anyhow::Result<Vec<Pages>> {
    let mut all = Vec::new();
    for filters in (0..8).map(|bits| Filters { task: bits & 1 > 0, status: bits & 2 > 0, dates: bits & 4 > 0 }) {
        for place in PLACES {
            let samples = measure_pages(set, filters, place).await?;
            all.push(Pages { filters, place, samples });
        }
    }
    Ok(all)
}

async fn measure_pages(set: &DataSet, filters: Filters, place: Place) -> anyhow::Result<Samples> {
    let (all, mut samples) = (Instant::now(), Samples::default());
    for round in 0..WARM_UP + ROUNDS {
        let mut rng = SmallRng::seed_from_u64(round);
        let mut query = filters.query(set.newest, &mut rng);
        if place != Place::First {
            let pages = set.program.ask::<HistoryPage>(&path(&query)).await?.total_pages.max(1);
            let page = if place == Place::Last { pages } else { rng.random_range(1..=pages) };
            query.page = u32::try_from(page)?;
        }
        let path = path(&query);
        let began = Instant::now();
        set.program.get(&path).await?;
        if round >= WARM_UP {
            samples.push(began.elapsed());
        }
        if round >= WARM_UP + 3 && all.elapsed() > LONGEST {
            break;
        }
    }
    Ok(samples)
}

impl Filters {
    fn query(self, newest: DateTime<Utc>, rng: &mut SmallRng) -> HistoryQuery {
        let mut query = HistoryQuery::default();
        let task = KINDS[rng.random_range(0..KINDS.len())].name;
        let status = TaskStatus::ALL[rng.random_range(0..TaskStatus::ALL.len())];
        let end = newest - TimeDelta::milliseconds(rng.random_range(0..7 * 86_400_000));
        let start = end - TimeDelta::milliseconds(rng.random_range(3_600_000..14 * 86_400_000));
        query.task_name.extend(self.task.then(|| task.to_owned()));
        query.status.extend(self.status.then_some(status));
        query.start_date = self.dates.then_some(start);
        query.end_date = self.dates.then_some(end);
        query
    }

    fn words(self) -> String {
        let words = [(self.task, "task type"), (self.status, "status"), (self.dates, "dates")];
        let set: Vec<_> = words.into_iter().filter_map(|(is_set, word)| is_set.then_some(word)).collect();
        if set.is_empty() { "no filter".to_owned() } else { set.join(", ") }
    }
}

impl Place {
    const fn word(self) -> &'static str {
        match self {
            Self::First => "first page",
            Self::Random => "random page",
            Self::Last => "last page",
        }
    }
}

/// Sets the sizes, smallest first, beside each other.
pub(crate) fn compare(sizes: &[(u64, Vec<Pages>)]) -> Vec<Figure> {
    let ([(smallest, small), ..], [.., (largest, large)]) = (sizes, sizes) else { return Vec::new() };
    let figure = |number: usize| {
        let (small, large) = (&small[number], &large[number]);
        let value: Vec<_> =
            sizes.iter().map(|(rows, pages)| format!("{}: {:.1} ms", size_word(*rows), pages[number].samples.p95())).collect();
        let (before, after) = (small.samples.p95(), large.samples.p95());
        let what = format!("p95 of history, {}, {}", small.filters.words(), small.place.word());
        let yardstick = format!("{} against {}", size_word(*largest), size_word(*smallest));
        let met = after <= BAR && after <= FLAT * before;
        Figure::new(what, value.join(", ")).against(yardstick, after / before).bar("≤ 20 ms, ratio ≤ 3", met)
    };
    (0..small.len()).map(figure).collect()
}
