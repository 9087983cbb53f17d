use std::sync::Arc;

use chrono::{TimeDelta, Utc};
use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::{LazyRoute, hooks::use_url, lazy_route};
use taskscope_wire::{Execution, HistoryPage, HistoryQuery, HourCounts, InvalidQuery, TaskStatus};

use super::{
    DatabaseBanner, Problem, TITLE,
    live_series::ShownSeries,
    load::{clear, draw_once, follow},
    overview::window_of,
    problem::passes,
};
use crate::{
    components::{
        Failures, SeriesFigures, WindowLinks,
        charts::{AgeChart, ChartSkeleton, DepthChart, HeatMap, LatencyChart, Measured, SuccessChart, ThroughputChart},
        url,
    },
    error::AppError,
    live::{Live, use_live, use_slow_refetch},
    server_fns::{get_history, get_hour_counts, get_series},
};

/// Failures that are listed.
const FAILURES: u32 = 10;
/// Hours of a week.
const WEEK: u32 = 168;
/// Weeks that the hours of the week are counted over where the window is longer than one.
const WEEKS: u32 = 4;

type Loaded<T> = Resource<Result<T, AppError>>;

/// How one task type did over time.
pub struct TaskTypePage;

/// What it loads.
struct Data {
    name: Memo<String>,
    window: Memo<Result<u32, InvalidQuery>>,
    series: Loaded<taskscope_wire::Series>,
    hours: Loaded<HourCounts>,
    failures: Loaded<HistoryPage>,
}

#[lazy_route]
impl LazyRoute for TaskTypePage {
    fn data() -> Self {
        Self
    }

    fn view(_page: Self) -> AnyView {
        view! { <TaskTypeView data=Data::load()/> }.into_any()
    }
}

impl Data {
    fn load() -> Self {
        let address = use_url();
        let name = Memo::new(move |_| address.with(|address| url::task_type_of(address.path())).unwrap_or_default());
        let window = Memo::new(move |_| address.with(|address| window_of(address.search())));
        let asked = move || (name.get(), window.get());
        Self {
            name,
            window,
            series: Resource::new(asked, |(name, window)| async move { get_series(Some(name), window?).await }),
            hours: Resource::new(asked, |(name, window)| async move { get_hour_counts(name, weeks_of(window?) * WEEK).await }),
            failures: Resource::new(asked, |(name, window)| async move { get_history(newest_failures(name, window?)).await }),
        }
    }
}

/// The page's title. On the server it is put into the page as it stands, in the browser it is set as a text.
fn title_of(name: &str) -> String {
    let name = if cfg!(feature = "ssr") { name.replace('&', "&amp;").replace('<', "&lt;") } else { name.to_owned() };
    format!("{name} · {TITLE}")
}

const fn weeks_of(window: u32) -> u32 {
    if window > WEEK { WEEKS } else { 1 }
}

fn newest_failures(task_name: String, window: u32) -> HistoryQuery {
    HistoryQuery {
        task_name: vec![task_name],
        status: vec![TaskStatus::Failed],
        start_date: Some(Utc::now() - TimeDelta::hours(i64::from(window))),
        page_size: FAILURES,
        ..HistoryQuery::default()
    }
}

/// What the page shows, in signals that outlive every load.
#[derive(Clone, Copy)]
struct Shown {
    series: ShownSeries,
    hours: RwSignal<Arc<HourCounts>>,
    failures: RwSignal<Vec<Execution>>,
}

#[component]
fn TaskTypeView(data: Data) -> impl IntoView {
    let Data { name, window, series, hours, failures } = data;
    let live = use_live();
    let shown = Shown { series: ShownSeries::new(live, series), hours: RwSignal::default(), failures: RwSignal::default() };
    let problem = RwSignal::new(None::<AppError>);
    // What is shown stays where newer of the same can't be had.
    let asked = StoredValue::new(None);
    let is_shown = move || asked.get_value() == Some((name.get_untracked(), window.get_untracked()));
    let loaded = follow(series, move |loaded| match loaded {
        Ok(series) => {
            asked.set_value(Some((name.get_untracked(), window.get_untracked())));
            clear(problem);
            shown.series.load(series);
        }
        Err(error) if passes(&error) && is_shown() => shown.series.fail(),
        Err(error) => problem.set(Some(error)),
    });
    let counted = follow(hours, move |loaded| drop(loaded.map(|hours| shown.hours.set(Arc::new(hours)))));
    let listed = follow(failures, move |loaded| drop(loaded.map(|page| shown.failures.set(page.items))));
    keep_current(live, name, shown, hours, failures);
    let reload = Callback::new(move |()| {
        series.refetch();
        hours.refetch();
        failures.refetch();
    });
    view! {
        <Title text=move || title_of(&name.read())/>
        <div class="page task-type-page" data-testid="task-type-page">
            <nav class="crumbs" aria-label="Breadcrumb">
                <a href=url::OVERVIEW>"Overview"</a>
            </nav>
            <div class="page-head">
                <h1>{move || name.get()}</h1>
                <WindowLinks hours=Signal::derive(move || window.get().ok()) address=Signal::derive(move || url::task_type(&name.read()))/>
            </div>
            <Transition fallback=Skeletons>
                {draw_once(async move {
                    loaded.await;
                    counted.await;
                    listed.await;
                    live.connect();
                    move || match problem.get() {
                        Some(error) => {
                            view! { <Problem error retry=reload clear=(url::OVERVIEW, "Go to the Overview")/> }.into_any()
                        }
                        None => view! { <Board name shown/> }.into_any(),
                    }
                })}
            </Transition>
        </div>
    }
}

/// Fetches what the stream doesn't tell: failures when one is told of, hours when one is over.
fn keep_current(live: Live, name: Memo<String>, shown: Shown, hours: Loaded<HourCounts>, failures: Loaded<HistoryPage>) {
    let refetch = use_slow_refetch(live, move || failures.refetch());
    let latest = live.latest();
    Effect::new(move |again: Option<()>| {
        let latest = latest.get();
        let name = name.get_untracked();
        if again.is_some() && latest.iter().any(|event| event.status == TaskStatus::Failed && event.task_name == name) {
            refetch.soon();
        }
    });
    let hour = Memo::new(move |_| shown.series.shown().with(|series| series.generated_at.timestamp() / 3600));
    Effect::new(move |before: Option<i64>| {
        let hour = hour.get();
        if before.is_some_and(|before| before != 0 && before != hour) {
            hours.refetch();
        }
        hour
    });
}

#[component]
fn Board(name: Memo<String>, shown: Shown) -> impl IntoView {
    let series = shown.series.shown();
    view! {
        <DatabaseBanner/>
        <SeriesFigures series/>
        <div class="charts">
            <ThroughputChart series/>
            <SuccessChart series/>
            <LatencyChart series measured=Measured::Run/>
            <LatencyChart series measured=Measured::Wait/>
            <DepthChart series/>
            <AgeChart series/>
            <HeatMap hours=shown.hours/>
            <section class="chart" aria-labelledby="failures-title">
                <div class="chart-head">
                    <h2 id="failures-title">"Newest failures"</h2>
                    <a href=move || url::history_of(&name.read(), Some(TaskStatus::Failed))>"All in the history"</a>
                </div>
                <Failures executions=shown.failures/>
            </section>
        </div>
        <p class="charts-note">
            "Times are in UTC but for the hours of the week. Percentiles are at most 1 % off. "
            <a href=move || url::history_of(&name.read(), None)>"All executions"</a>
        </p>
    }
}

#[component]
fn Skeletons() -> impl IntoView {
    view! {
        <div class="skeleton skeleton-figures"></div>
        <div class="charts">{(0..8).map(|_| view! { <ChartSkeleton/> }).collect_view()}</div>
    }
}
