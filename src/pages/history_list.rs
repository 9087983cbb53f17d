use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use leptos::{ev, prelude::*, task::spawn_local};
use taskscope_wire::{Cursor, Execution, HistoryPage, HistoryQuery, LiveEvent, TaskStatus};

use crate::{
    components::{HistoryRow, HistoryTable, Pager, Timestamp, format, url},
    live::{Live, use_refetch},
    server_fns::get_history,
};

/// New executions beyond this are not told apart any more.
const MOST_NEW: usize = 10_000;

/// A page of history that stays where it is: its rows are kept current, and executions that came since are announced, not
/// pushed in.
#[component]
pub fn HistoryList(
    /// The page.
    list: List,
    /// The execution whose details are open.
    #[prop(into)]
    selected: Signal<Option<i64>>,
    /// Goes to an address, and says whether it replaces the last one in the browser's history.
    #[prop(into)]
    go: Callback<(String, bool)>,
    /// Fetches the page again.
    #[prop(into)]
    reload: Callback<()>,
) -> impl IntoView {
    let List { query, rows, total, pages, back_to, cursor, .. } = list;
    let so_far = move || if back_to.with(Option::is_some) { " so far" } else { "" };
    let open = Callback::new(move |to: String| go.run((to, false)));
    let is_empty = Memo::new(move |_| rows.with(Vec::is_empty));
    // Where nothing is shown, nothing can shift under the reader: what comes is shown at once.
    Effect::new(move |_| {
        if is_empty.get() && list.newer.with(|newer| !newer.is_empty()) && query.with_untracked(|query| query.page == 1) {
            reload.run(());
        }
    });
    view! {
        <div class="history-bar">
            <p class="history-total" role="status" data-testid="history-total">
                {move || match total.get() {
                    1 => format!("1 execution{}", so_far()),
                    total => format!("{} executions{}", format::grouped(total), so_far()),
                }}
            </p>
            <SearchedBack list/>
            <Newer list reload/>
        </div>
        <Show
            when=move || !is_empty.get()
            fallback=move || query.with(|query| view! { <Empty query=query.clone() total=total.get() pages=pages.get() is_all=back_to.with(Option::is_none)/> })
        >
            <HistoryTable rows query selected go=open/>
        </Show>
        {move || {
            // The pages of the moment of this one: they don't shift.
            let query = HistoryQuery { cursor: cursor.get(), ..query.get() };
            view! { <Pager query total_pages=pages.get()/> }
        }}
    }
}

/// Says how far back a search looked whose time was over, and leads to what lies before.
#[component]
fn SearchedBack(list: List) -> impl IntoView {
    move || {
        list.back_to.get().map(|at| {
            let before = at - TimeDelta::microseconds(1);
            let further = HistoryQuery { page: 1, end_date: Some(before), ..list.query.get() };
            view! {
                <p class="history-back" data-testid="searched-back">
                    "Searched back to " <Timestamp at/> ". "
                    <a href=url::history(&further) data-noscroll="">"Look further back"</a>
                </p>
            }
        })
    }
}

/// Says how many executions came since, and shows them: a press on the first page fetches it again, on others it leads there.
#[component]
fn Newer(list: List, reload: Callback<()>) -> impl IntoView {
    let newer = Memo::new(move |_| list.newer.with(HashSet::len));
    let show = move |event: ev::MouseEvent| {
        if list.query.with_untracked(|query| query.page == 1) {
            event.prevent_default();
            reload.run(());
        }
    };
    view! {
        <a
            class="history-new"
            href=move || url::history(&HistoryQuery { page: 1, ..list.query.get() })
            hidden=move || newer.get() == 0
            on:click=show
        >
            {move || match newer.get() {
                1 => "1 new execution – show".to_owned(),
                new => format!("{} new executions – show", format::grouped(new as i64)),
            }}
        </a>
    }
}

#[component]
fn Empty(query: HistoryQuery, total: i64, pages: i64, is_all: bool) -> impl IntoView {
    let last = HistoryQuery { page: u32::try_from(pages).unwrap_or(1), ..query.clone() };
    let (text, href, link) = if total > 0 {
        (format!("There is no page {}.", query.page), url::history(&last), "Go to the last page")
    } else if !is_all {
        ("No execution was found so far.".to_owned(), url::HISTORY.to_owned(), "Clear filters")
    } else if query.is_filtered() {
        ("No execution matches these filters.".to_owned(), url::HISTORY.to_owned(), "Clear filters")
    } else {
        ("No task has reported yet.".to_owned(), url::OVERVIEW.to_owned(), "Connect a worker")
    };
    view! {
        <div class="empty">
            <p>{text}</p>
            <p><a href=href>{link}</a></p>
        </div>
    }
}

/// A page of history as signals that outlive every load.
#[derive(Clone, Copy)]
pub struct List {
    query: RwSignal<HistoryQuery>,
    rows: RwSignal<Vec<HistoryRow>>,
    total: RwSignal<i64>,
    pages: RwSignal<i64>,
    /// The moment that the pages are counted by.
    cursor: RwSignal<Option<Cursor>>,
    back_to: RwSignal<Option<DateTime<Utc>>>,
    newer: RwSignal<HashSet<i64>>,
}

impl List {
    /// A list without a page, kept current from then on.
    pub fn new(live: Live) -> Self {
        let list = Self {
            query: RwSignal::default(),
            rows: RwSignal::default(),
            total: RwSignal::new(0),
            pages: RwSignal::new(0),
            cursor: RwSignal::new(None),
            back_to: RwSignal::new(None),
            newer: RwSignal::default(),
        };
        let latest = live.latest();
        Effect::new(move |again: Option<()>| {
            let latest = latest.get();
            // What came before this page was made is in the page.
            if again.is_some() {
                latest.iter().for_each(|event| list.apply(event));
            }
        });
        use_refetch(live, move || list.fetch());
        list
    }

    /// Shows another page. Rows that stay keep their place in the document, and focus.
    pub fn load(self, query: HistoryQuery, page: HistoryPage) {
        let rows = page.items.into_iter().map(|execution| match self.row(execution.id) {
            Some(row) => {
                row.execution.set(execution);
                row
            }
            None => HistoryRow { id: execution.id, execution: ArcRwSignal::new(execution) },
        });
        self.rows.set(rows.collect());
        self.query.set(query);
        self.total.set(page.total_count);
        self.pages.set(page.total_pages);
        self.cursor.set(page.cursor);
        self.back_to.set(page.searched_back_to);
        self.newer.set(HashSet::new());
    }

    /// Whether it shows a page of this.
    pub fn shows(self, query: &HistoryQuery) -> bool {
        self.rows.with_untracked(|rows| !rows.is_empty()) && self.query.with_untracked(|shown| shown == query)
    }

    fn apply(self, event: &LiveEvent) {
        match self.row(event.data.task_id) {
            Some(row) => row.execution.update(|execution| advance(execution, event)),
            None if self.query.with_untracked(|query| is_new_match(query, event)) => self.announce(event.data.task_id),
            None => {}
        }
    }

    fn row(self, id: i64) -> Option<HistoryRow> {
        self.rows.with_untracked(|rows| rows.iter().find(|row| row.id == id).cloned())
    }

    fn announce(self, id: i64) {
        if self.newer.with_untracked(|newer| newer.len() < MOST_NEW && !newer.contains(&id)) {
            self.newer.update(|newer| {
                newer.insert(id);
            });
        }
    }

    /// Brings the rows that are shown up to date, and announces those that are not.
    fn fetch(self) {
        let Some(query) = self.query.try_get_untracked() else { return };
        spawn_local(async move {
            // The first page is that of now, the others are those of the moment that they are counted by.
            let cursor = if query.page > 1 { self.cursor.get_untracked() } else { None };
            let Ok(page) = get_history(HistoryQuery { cursor, ..query.clone() }).await else { return };
            if self.query.try_get_untracked().as_ref() != Some(&query) {
                return;
            }
            self.total.set(page.total_count);
            self.back_to.set(page.searched_back_to);
            for execution in page.items {
                match self.row(execution.id) {
                    Some(row) => row.execution.set(execution),
                    None if query.page == 1 => self.announce(execution.id),
                    None => {}
                }
            }
        });
    }
}

/// What an event says of an execution that is shown. Times and messages that it doesn't carry stay.
fn advance(execution: &mut Execution, event: &LiveEvent) {
    execution.task_name.clone_from(&event.task_name);
    execution.status = event.status;
    execution.duration_ms = event.data.duration_ms.or(execution.duration_ms);
    if let Some(error) = &event.data.error_message {
        execution.error_message = Some(error.clone());
    }
    match event.status {
        TaskStatus::Pending => {}
        TaskStatus::Running => execution.started_at = Some(event.timestamp),
        TaskStatus::Success | TaskStatus::Failed => execution.completed_at = Some(event.timestamp),
    }
}

/// Whether an event makes an execution match that did not match before. What an event doesn't tell counts as matching.
fn is_new_match(query: &HistoryQuery, event: &LiveEvent) -> bool {
    let matches = |name: &String, status: TaskStatus| {
        (query.task_name.is_empty() || query.task_name.contains(name))
            && (query.status.is_empty() || query.status.contains(&status))
    };
    let in_range = query.start_date.is_none_or(|start| event.data.created_at >= start)
        && query.end_date.is_none_or(|end| event.data.created_at <= end);
    let before = event.data.previous.as_ref().is_some_and(|was| matches(&was.task_name, was.status));
    in_range && matches(&event.task_name, event.status) && !before
}
