use std::{fmt::Write as _, sync::Arc};

use chrono::{DateTime, Datelike, TimeDelta, Timelike, Utc};
use leptos::prelude::*;
use taskscope_wire::HourCounts;

use super::{
    NOTHING,
    frame::{Frame, Table},
    scale::Mark,
    shape::HEIGHT,
};
use crate::components::{browser, format};

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const HOURS: usize = 24;
const CELLS: usize = DAYS.len() * HOURS;
/// Shades between nothing and the most.
const LEVELS: usize = 5;
/// Hours of a week.
const WEEK: usize = CELLS;

/// An hour of the week.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Cell {
    total: i64,
    failed: i64,
}

/// What the hours of the week are reckoned from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Zone {
    Utc,
    /// The reader's, which the browser knows: the first drawing must not differ from the server's.
    Reader,
}

impl Zone {
    const fn in_words(self) -> &'static str {
        match self {
            Self::Utc => "in UTC",
            Self::Reader => "in your time zone",
        }
    }

    fn local(self, at: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::Utc => at,
            Self::Reader => at + TimeDelta::minutes(browser::minutes_ahead_of_utc(at)),
        }
    }
}

/// When in the week executions are created. Shades are squares of different size too.
#[component]
pub fn HeatMap(
    /// The hours.
    #[prop(into)]
    hours: Signal<Arc<HourCounts>>,
) -> impl IntoView {
    let zone = RwSignal::new(Zone::Utc);
    Effect::new(move |_| zone.set(Zone::Reader));
    let cells = Memo::new(move |_| hours.with(|hours| of_the_week(hours, zone.get())));
    let most = Memo::new(move |_| cells.with(|cells| cells.iter().map(|cell| cell.total).max().unwrap_or_default()));
    let weeks = Memo::new(move |_| hours.with(|hours| hours.total.len() / WEEK));
    let levels = (1..=LEVELS).map(move |level| {
        let d = move || cells.with(|cells| squares(cells, most.get(), level));
        view! { <path class="heat" data-level=level.to_string() d=d></path> }
    });
    let table = Table {
        head: &["Hour", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"],
        version: Memo::new(move |_| hours.with(|hours| hours.start)),
        rows: Callback::new(move |()| cells.with(|cells| values(cells))),
    };
    view! {
        <Frame
            name="week"
            title="Hours of the week"
            summary=Signal::derive(move || cells.with(|cells| describe(cells, zone.get(), weeks.get())))
            empty=Signal::derive(move || (most.get() == 0).then_some(NOTHING))
            marks=Signal::stored(day_marks())
            times=Signal::stored(hour_marks())
            columns=Signal::stored(HOURS)
            rows=DAYS.len()
            read=Callback::new(move |at| cells.with(|cells| read(cells, at, weeks.get())))
            table
            legend=view! { <Legend most weeks zone/> }.into_any()
            filling=false
        >
            {levels.collect_view()}
        </Frame>
    }
}

#[component]
fn Legend(most: Memo<i64>, weeks: Memo<usize>, zone: RwSignal<Zone>) -> impl IntoView {
    let entry = move |level: usize| {
        view! {
            <li>
                <svg class="chart-swatch" viewBox="0 0 1 1" aria-hidden="true">
                    <path class="heat" data-level=level.to_string() d=square(0.5, 0.5, 1.0, 1.0, level)></path>
                </svg>
                {format!("≤ {}", format::grouped(bound(level, most.get())))}
            </li>
        }
    };
    view! {
        <ul class="chart-legend">
            <li>{move || format!("{}, whole hours {}", in_weeks(weeks.get()), zone.get().in_words())}</li>
            {move || (most.get() > 0).then(|| (1..=LEVELS).map(entry).collect_view())}
        </ul>
    }
}

fn in_weeks(weeks: usize) -> String {
    if weeks == 1 { "last 7 days".to_owned() } else { format!("last {weeks} weeks") }
}

fn of_the_week(hours: &HourCounts, zone: Zone) -> Vec<Cell> {
    let mut cells = vec![Cell::default(); CELLS];
    for (hour, (total, failed)) in hours.total.iter().zip(&hours.failed).enumerate() {
        let local = zone.local(hours.start + TimeDelta::hours(hour as i64));
        let at = local.weekday().num_days_from_monday() as usize * HOURS + local.hour() as usize;
        if let Some(cell) = cells.get_mut(at) {
            cell.total += total;
            cell.failed += failed;
        }
    }
    cells
}

/// The shade of a count, from 0 for nothing.
fn level(total: i64, most: i64) -> usize {
    if most > 0 { (total as f64 / most as f64 * LEVELS as f64).ceil() as usize } else { 0 }
}

/// The highest count of a shade.
fn bound(level: usize, most: i64) -> i64 {
    most * level as i64 / LEVELS as i64
}

fn squares(cells: &[Cell], most: i64, wanted: usize) -> String {
    let high = HEIGHT / DAYS.len() as f64;
    let shaded = cells.iter().enumerate().filter(|(_, cell)| level(cell.total, most) == wanted);
    shaded.map(|(at, _)| square((at % HOURS) as f64 + 0.5, ((at / HOURS) as f64 + 0.5) * high, 1.0, high, wanted)).collect()
}

/// A square around a centre, larger for higher shades.
fn square(x: f64, y: f64, wide: f64, high: f64, level: usize) -> String {
    let share = 0.36 + 0.11 * level as f64;
    let (wide, high) = (wide * share, high * share);
    let mut outline = String::new();
    let _ = write!(outline, "M{:.2} {:.2}h{wide:.2}v{high:.2}h-{wide:.2}z", x - wide / 2.0, y - high / 2.0);
    outline
}

fn day_marks() -> Vec<Mark> {
    let days = DAYS.iter().enumerate();
    days.map(|(day, word)| ((day as f64 + 0.5) / DAYS.len() as f64, (*word).to_owned())).collect()
}

fn hour_marks() -> Vec<Mark> {
    (0..HOURS).step_by(4).map(|hour| (hour as f64 / HOURS as f64, format!("{hour:02}:00"))).collect()
}

fn describe(cells: &[Cell], zone: Zone, weeks: usize) -> String {
    let busiest = cells.iter().enumerate().max_by_key(|(_, cell)| cell.total);
    let busiest = busiest.map(|(at, cell)| format!("{}, {} executions", moment(at), format::grouped(cell.total)));
    format!(
        "Executions by hour and day of the week, {}, {}. Most: {}.",
        in_weeks(weeks),
        zone.in_words(),
        busiest.unwrap_or_default()
    )
}

/// An hour of the week: `Mon 14:00 – 15:00`.
fn moment(at: usize) -> String {
    let (day, hour) = (at / HOURS % DAYS.len(), at % HOURS);
    format!("{} {hour:02}:00 – {:02}:00", DAYS[day], (hour + 1) % HOURS)
}

fn read(cells: &[Cell], at: usize, weeks: usize) -> String {
    let cell = cells.get(at).copied().unwrap_or_default();
    let each = if weeks > 1 { format!(" in {weeks} weeks") } else { String::new() };
    format!("{} · {} executions, {} failed{each}", moment(at), format::grouped(cell.total), format::grouped(cell.failed))
}

fn values(cells: &[Cell]) -> Vec<Vec<String>> {
    let row = |hour: usize| {
        let days = (0..DAYS.len()).map(|day| cells.get(day * HOURS + hour).copied().unwrap_or_default());
        [format!("{hour:02}:00")].into_iter().chain(days.map(|cell| format::grouped(cell.total))).collect()
    };
    (0..HOURS).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_fall_into_the_hours_of_their_week() {
        // A Saturday, 10:00.
        let start = DateTime::from_timestamp(1_795_255_200, 0).unwrap();
        let mut hours = HourCounts { start, total: vec![0; 2 * WEEK], failed: vec![0; 2 * WEEK] };
        (hours.total[0], hours.failed[0], hours.total[WEEK], hours.total[15]) = (3, 1, 4, 9);
        let cells = of_the_week(&hours, Zone::Utc);
        let sum: i64 = cells.iter().map(|cell| cell.total).sum();
        assert_eq!((cells[5 * HOURS + 10], cells[6 * HOURS + 1].total, sum), (Cell { total: 7, failed: 1 }, 9, 16));
        assert_eq!(read(&cells, 5 * HOURS + 10, 2), "Sat 10:00 – 11:00 · 7 executions, 1 failed in 2 weeks");
        assert_eq!(values(&cells)[10][6], "7");
    }

    #[test]
    fn shades_end_at_their_bounds() {
        assert_eq!([0, 1, 20, 21, 99, 100].map(|total| level(total, 100)), [0, 1, 1, 2, 5, 5]);
        assert_eq!([level(0, 0), level(1, 1)], [0, LEVELS]);
        assert_eq!([1, 5].map(|level| bound(level, 100)), [20, 100]);
    }
}
