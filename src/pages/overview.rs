use std::time::Duration;

use chrono::{DateTime, Utc};
use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::use_url;
use taskscope_wire::{InvalidQuery, time_window};

use super::{
    DatabaseBanner, Problem, TITLE,
    live_series::ShownSeries,
    load::{clear, draw_once, follow},
};
use crate::{
    components::{
        CardSkeletons, ConnectWorker, HealthCard, LiveFeed, Summary, WindowLinks,
        charts::{ChartSkeleton, ThroughputChart},
        url, window_in_words,
    },
    error::AppError,
    live::{Live, use_live, use_refetch},
    server_fns::{get_metrics, get_series, latest_events},
};

/// How often the counts are fetched even where nothing asks for it, since the window moves on.
const WINDOW_MOVES: Duration = Duration::from_secs(30);
const SECOND: Duration = Duration::from_secs(1);

/// How every task type does, and what just happened.
#[component]
pub fn Overview() -> impl IntoView {
    let live = use_live();
    let address = use_url();
    let window = Memo::new(move |_| address.with(|address| window_of(address.search())));
    let metrics = Resource::new(move || window.get(), |window| async move { get_metrics(window?).await });
    let missed = Resource::new(|| (), |()| latest_events());
    let series = Resource::new(move || window.get(), |window| async move { get_series(None, window?).await });
    let chart = ShownSeries::new(live, series);
    let problem = RwSignal::new(None::<AppError>);
    // The window that the counts are of; they stay where newer ones of the same window can't be had.
    let hours = RwSignal::new(0);
    // Moves on second by second where anything waits.
    let now = RwSignal::new(DateTime::UNIX_EPOCH);
    tick(live, now);
    let counted = follow(metrics, move |loaded| match loaded {
        Ok(metrics) => {
            hours.set(metrics.time_window_hours);
            now.set(metrics.generated_at);
            clear(problem);
            live.load_metrics(metrics);
        }
        Err(error) if window.get_untracked() != Ok(hours.get_untracked()) => problem.set(Some(error)),
        Err(_) => {}
    });
    let told = follow(missed, move |loaded| match loaded {
        Ok(missed) => live.load_feed(missed),
        Err(error) if hours.get_untracked() == 0 => problem.set(Some(error)),
        Err(_) => {}
    });
    // The problem that there is with it there is with the counts, which say it.
    let charted = follow(series, move |loaded| match loaded {
        Ok(series) => chart.load(series),
        Err(_) => chart.fail(),
    });
    let refetch = move || {
        metrics.refetch();
        missed.refetch();
    };
    use_refetch(live, refetch);
    move_window(move || metrics.refetch());
    view! {
        <Title text=TITLE/>
        <div class="page">
            <div class="page-head">
                <h1>{TITLE}</h1>
                <WindowLinks hours=Signal::derive(move || window.get().ok()) address=url::OVERVIEW/>
            </div>
            <Transition fallback=Skeletons>
                {draw_once(async move {
                    counted.await;
                    told.await;
                    charted.await;
                    live.connect();
                    move || match problem.get() {
                        Some(error) => {
                            let retry = Callback::new(move |()| refetch());
                            view! { <Problem error retry clear=(url::OVERVIEW, "Show the last 24 hours")/> }.into_any()
                        }
                        None => view! { <Board live hours chart now/> }.into_any(),
                    }
                })}
            </Transition>
        </div>
    }
}

#[component]
fn Skeletons() -> impl IntoView {
    view! {
        <ChartSkeleton small=true/>
        <CardSkeletons/>
    }
}

/// The window that the address names.
pub(super) fn window_of(search: &str) -> Result<u32, InvalidQuery> {
    let Some(value) = url::param(search, url::WINDOW) else { return Ok(time_window::DEFAULT) };
    let hours = value.trim().parse().ok().and_then(|hours| time_window::check(hours).ok());
    hours.ok_or_else(|| InvalidQuery {
        parameter: url::WINDOW.to_owned(),
        allowed: format!("must be a whole number of hours from 1 to {}", time_window::MOST),
        value: value.chars().take(100).collect(),
        at: None,
    })
}

/// Fetches the counts again as the window moves on; the feed doesn't change by that.
fn move_window(refetch: impl Fn() + Clone + 'static) {
    Effect::new(move |_| {
        let timer = set_interval_with_handle(refetch.clone(), WINDOW_MOVES);
        on_cleanup(move || drop(timer.map(|timer| timer.clear())));
    });
}

/// Moves the time on while anything waits, so that how long it does stays right.
fn tick(live: Live, now: RwSignal<DateTime<Utc>>) {
    let waits = Memo::new(move |_| live.totals().with(|totals| totals.pending > 0));
    Effect::new(move |_| {
        if waits.get() {
            let tick = move || {
                now.try_set(Utc::now());
            };
            let timer = set_interval_with_handle(tick, SECOND);
            on_cleanup(move || drop(timer.map(|timer| timer.clear())));
        }
    });
}

#[component]
fn Board(live: Live, hours: RwSignal<u32>, chart: ShownSeries, now: RwSignal<DateTime<Utc>>) -> impl IntoView {
    let feed = live.feed();
    let totals = live.totals();
    let untouched =
        Memo::new(move |_| totals.with(|totals| totals.total_executions == 0) && feed.with(|feed| feed.items.is_empty()));
    let cards = live.cards();
    let span = Signal::derive(move || window_in_words(hours.get()));
    view! {
        <DatabaseBanner/>
        <Show when=move || untouched.get()>
            <ConnectWorker/>
        </Show>
        <Summary totals/>
        <ThroughputChart series=chart.shown() small=true/>
        <div class="overview">
            <section class="overview-cards" aria-labelledby="task-types-title">
                <h2 id="task-types-title" class="visually-hidden">"Task types"</h2>
                <ul class="cards">
                    <For each=move || cards.get() key=|card| card.task_name.to_string() let:card>
                        <li>
                            <HealthCard task_name=card.task_name metrics=Signal::from(card.metrics) span now/>
                        </li>
                    </For>
                </ul>
            </section>
            <LiveFeed
                items=Signal::derive(move || feed.with(|feed| feed.items.clone()))
                arrived=Signal::derive(move || feed.with(|feed| feed.arrived))
            />
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_read_from_the_address() {
        assert_eq!(window_of(""), Ok(24));
        assert_eq!(window_of("time_window="), Ok(24));
        assert_eq!(window_of("time_window=720"), Ok(720));
        for value in ["0", "721", "-1", "day", "1.5"] {
            assert_eq!(window_of(&format!("time_window={value}")).unwrap_err().value, value);
        }
    }
}
