use chrono::{DateTime, TimeDelta, Utc};
use leptos::{ev, prelude::*};
use taskscope_wire::{HistoryQuery, TaskStatus, search::Known, time};

use super::{format, search_box::SearchBox, url};

/// Ranges that end now: hours and name.
const RANGES: [(i64, &str); 3] = [(1, "Last 1 hour"), (24, "Last 24 hours"), (168, "Last 7 days")];

/// The filters of the history. A form that works without scripts; with them each change applies at once.
#[component]
pub fn HistoryFilters(
    /// The filters that are set.
    #[prop(into)]
    query: Signal<HistoryQuery>,
    /// The search that the address holds, whether it is one or not.
    #[prop(into)]
    search: Signal<String>,
    /// The task types to choose from.
    names: Vec<String>,
    /// What a search can be completed with.
    #[prop(into)]
    known: Signal<Known>,
    /// Asks for what is known.
    #[prop(into)]
    ask: Callback<()>,
    /// When the page was made: what the ranges go by until a reader chooses one.
    now: DateTime<Utc>,
    /// Takes other filters, and whether they replace the last ones in the browser's history.
    #[prop(into)]
    change: Callback<(HistoryQuery, bool)>,
) -> impl IntoView {
    let set = move |edit: &dyn Fn(&mut HistoryQuery)| {
        let mut query = query.get_untracked();
        query.page = 1;
        edit(&mut query);
        change.run((query, false));
    };
    let on_time = move |event: &ev::Event, field: fn(&mut HistoryQuery) -> &mut Option<DateTime<Utc>>| {
        let value = event_target_value(event);
        let at = time::parse(&value);
        if at.is_some() || value.is_empty() {
            set(&|query| *field(query) = at);
        }
    };
    let start_search = Callback::new(move |text: String| {
        let q = Some(text).filter(|text| !text.is_empty());
        change.run((HistoryQuery { page: 1, q, ..query.get_untracked() }, true));
    });
    view! {
        <form
            class="filters"
            method="get"
            action=url::HISTORY
            role="search"
            aria-label="Filter executions"
            on:submit=move |event| event.prevent_default()
        >
            <div class="field">
                <label for="filter-task">"Task type"</label>
                <select
                    id="filter-task"
                    name="task_name"
                    on:change=move |event| {
                        let name = event_target_value(&event);
                        set(&|query| query.task_name = Some(name.clone()).filter(|name| !name.is_empty()).into_iter().collect());
                    }
                >
                    <TaskOptions query names/>
                </select>
            </div>
            <div class="field">
                <label for="filter-status">"Status"</label>
                <select
                    id="filter-status"
                    name="status"
                    on:change=move |event| {
                        let status = event_target_value(&event).parse().ok();
                        set(&|query| query.status = status.into_iter().collect());
                    }
                >
                    <StatusOptions query/>
                </select>
            </div>
            <div class="field field-time">
                <label for="filter-from">"From (UTC)"</label>
                <input
                    id="filter-from"
                    type="datetime-local"
                    name="start_date"
                    value=value_of(query.with_untracked(|query| query.start_date))
                    prop:value=move || value_of(query.with(|query| query.start_date))
                    on:change=move |event| on_time(&event, |query| &mut query.start_date)
                />
            </div>
            <div class="field field-time">
                <label for="filter-to">"To (UTC)"</label>
                <input
                    id="filter-to"
                    type="datetime-local"
                    name="end_date"
                    value=value_of(query.with_untracked(|query| query.end_date))
                    prop:value=move || value_of(query.with(|query| query.end_date))
                    on:change=move |event| on_time(&event, |query| &mut query.end_date)
                />
            </div>
            <SearchBox text=search known ask search=start_search/>
            <button type="submit" class="button no-js">"Apply"</button>
        </form>
        <div class="filters-bar">
            <Ranges query now change/>
            <Others query/>
            <a
                class="button button-small"
                href=url::HISTORY
                data-noscroll=""
                data-filtered=move || query.with(HistoryQuery::is_filtered).then_some("")
            >
                "Clear filters"
            </a>
        </div>
    }
}

fn value_of(at: Option<DateTime<Utc>>) -> String {
    at.map(format::input_value).unwrap_or_default()
}

/// The task types, and the one that is filtered by even where it is not among them.
#[component]
fn TaskOptions(query: Signal<HistoryQuery>, names: Vec<String>) -> impl IntoView {
    let chosen = Memo::new(move |_| query.with(|query| query.task_name.clone()));
    let names = Memo::new(move |_| {
        let extra = chosen.get().into_iter().filter(|name| !names.contains(name));
        names.iter().cloned().chain(extra).collect::<Vec<_>>()
    });
    move || {
        let several = chosen.with(Vec::len) > 1;
        let all = if several { format!("{} task types", chosen.with(Vec::len)) } else { "All".to_owned() };
        let options = names.get().into_iter().map(|name| {
            let is_chosen = move |name: &str| chosen.with(|chosen| matches!(&chosen[..], [one] if one == name));
            let selected = {
                let name = name.clone();
                move || is_chosen(&name)
            };
            view! { <option value=name.clone() selected=is_chosen(&name) prop:selected=selected>{name.clone()}</option> }
        });
        view! {
            <option value="" prop:selected=move || chosen.with(Vec::len) != 1>{all}</option>
            {options.collect_view()}
        }
    }
}

#[component]
fn StatusOptions(query: Signal<HistoryQuery>) -> impl IntoView {
    let chosen = Memo::new(move |_| query.with(|query| query.status.clone()));
    let options = TaskStatus::ALL.map(|status| {
        let is_chosen = move || chosen.with(|chosen| chosen[..] == [status]);
        let selected = untrack(is_chosen);
        view! { <option value=status.as_str() selected=selected prop:selected=is_chosen>{status.label()}</option> }
    });
    view! {
        <option value="" prop:selected=move || chosen.with(Vec::len) != 1>
            {move || match chosen.with(Vec::len) {
                0 | 1 => "All".to_owned(),
                several => format!("{several} statuses"),
            }}
        </option>
        {options}
    }
}

/// Ranges that end now, one press each.
#[component]
fn Ranges(query: Signal<HistoryQuery>, now: DateTime<Utc>, change: Callback<(HistoryQuery, bool)>) -> impl IntoView {
    let since = move |start_date: Option<DateTime<Utc>>| HistoryQuery { start_date, end_date: None, page: 1, ..query.get() };
    let links = RANGES.map(|(hours, name)| {
        let choose = move |event: ev::MouseEvent| {
            if event.button() == 0 && !event.ctrl_key() && !event.meta_key() {
                event.prevent_default();
                change.run((untrack(|| since(Some(start_of(Utc::now(), hours)))), false));
            }
        };
        view! {
            <li>
                <a href=move || url::history(&since(Some(start_of(now, hours)))) data-noscroll="" on:click=choose>{name}</a>
            </li>
        }
    });
    let is_all = move || query.with(|query| query.start_date.is_none() && query.end_date.is_none());
    view! {
        <nav aria-label="Date range">
            <ul class="segments">
                {links}
                <li>
                    <a
                        href=move || url::history(&since(None))
                        data-noscroll=""
                        aria-current=move || is_all().then_some("true")
                    >
                        "All time"
                    </a>
                </li>
            </ul>
        </nav>
    }
}

/// The filters that other pages lead here with: each is named, and a press takes it away.
#[component]
fn Others(query: Signal<HistoryQuery>) -> impl IntoView {
    move || {
        let query = query.get();
        let without = |edit: fn(&mut HistoryQuery)| {
            let mut query = HistoryQuery { page: 1, ..query.clone() };
            edit(&mut query);
            url::history(&query)
        };
        let worker = query.worker.as_ref().map(|name| (format!("Worker {name}"), without(|query| query.worker = None)));
        let queue = query.queue.as_ref().map(|name| (format!("Queue {name}"), without(|query| query.queue = None)));
        let stalled = query.stalled.then(|| ("Stalled only".to_owned(), without(|query| query.stalled = false)));
        [worker, queue, stalled]
            .into_iter()
            .flatten()
            .map(|(name, href)| {
                view! {
                    <a class="button button-small chip" href=href data-noscroll="" aria-label=format!("Remove filter: {name}")>
                        <span>{name.clone()}</span>
                        <span aria-hidden="true">"×"</span>
                    </a>
                }
            })
            .collect_view()
    }
}

/// Whole seconds, for an address that can be read.
fn start_of(now: DateTime<Utc>, hours: i64) -> DateTime<Utc> {
    let start = now - TimeDelta::hours(hours);
    DateTime::from_timestamp(start.timestamp(), 0).unwrap_or(start)
}

#[cfg(test)]
#[cfg(feature = "ssr")]
mod tests {
    use super::*;

    #[test]
    fn the_form_holds_the_filters_without_scripts() {
        let owner = Owner::new();
        owner.set();
        let query = HistoryQuery {
            task_name: vec!["gone_task".to_owned()],
            status: vec![TaskStatus::Failed],
            start_date: time::parse("2026-11-21T10:30:00Z"),
            q: Some("refused".to_owned()),
            ..HistoryQuery::default()
        };
        let now = time::parse("2026-11-22T00:00:00.5Z").unwrap();
        let change = Callback::new(|_: (HistoryQuery, bool)| ());
        let names = vec!["a".to_owned()];
        let (search, known) = (Signal::stored("refused".to_owned()), Signal::stored(Known::default()));
        let ask = Callback::new(|()| ());
        let html = view! { <HistoryFilters query=Signal::stored(query) search names known ask now change/> }.to_html();
        for part in [
            r#"<option value="gone_task" selected>"#,
            r#"<option value="failed" selected>"#,
            r#"value="2026-11-21T10:30""#,
            r#"value="refused""#,
            "start_date=2026-11-21T23:00:00Z",
        ] {
            assert!(html.contains(part), "{part} in {html}");
        }
        assert_eq!(html.matches(" selected>").count(), 2, "{html}");
    }
}
