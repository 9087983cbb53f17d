use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::{LazyRoute, hooks::use_url, lazy_route};
use taskscope_wire::{AnalysisEvent, AnalysisEventKind, InvalidQuery, Page, Role, Run, RunQuery};

use super::{
    DatabaseBanner, Problem, TITLE,
    analysis_new::{Choices, NewRunDialog, choices},
    current::{Meanwhile, on_analysis, page_of, refetch_when_connected},
    load::{clear, draw_once, follow},
    problem::passes,
};
use crate::{
    components::{PageLinks, RoleNote, RowSkeletons, RunRow, RunTable, format, may, url},
    error::AppError,
    live::{use_live, use_refetch},
    server_fns::get_runs,
};

/// The analysis runs, a page of them at a time, and the dialog that makes a new one: opened and closed by the address.
pub struct AnalysisPage;

/// What it loads.
struct Data {
    page: Memo<Result<i64, InvalidQuery>>,
    runs: Resource<Result<Page<Run>, AppError>>,
    meanwhile: Meanwhile<AnalysisEvent>,
    /// Whether a new run is asked for.
    new: Memo<bool>,
    choices: Resource<Option<Result<Choices, AppError>>>,
}

#[lazy_route]
impl LazyRoute for AnalysisPage {
    fn data() -> Self {
        Self
    }

    fn view(_page: Self) -> AnyView {
        view! { <AnalysisView data=Data::load()/> }.into_any()
    }
}

impl Data {
    fn load() -> Self {
        let address = use_url();
        let page = Memo::new(move |_| address.with(|address| page_of(address.search())));
        let new = Memo::new(move |_| address.with(|address| url::has(address.search(), url::NEW)));
        let meanwhile = Meanwhile::new();
        let fetch = move |page: Result<i64, InvalidQuery>| {
            meanwhile.begin();
            async move { get_runs(RunQuery { page: page?, ..RunQuery::default() }).await }
        };
        Self {
            page,
            runs: Resource::new(move || page.get(), fetch),
            meanwhile,
            new,
            choices: Resource::new(move || new.get(), choices),
        }
    }
}

#[component]
fn AnalysisView(data: Data) -> impl IntoView {
    let Data { page, runs, meanwhile, new, choices } = data;
    let live = use_live();
    let list = List::new();
    let problem = RwSignal::new(None::<AppError>);
    let loaded = follow(runs, move |loaded| match loaded {
        Ok(runs) => {
            clear(problem);
            list.load(runs);
            meanwhile.each(|event| {
                list.apply(event);
            });
        }
        // What is shown stays where newer rows of the same page can't be had.
        Err(error) if passes(&error) && list.shows(page.get_untracked()) => {}
        Err(error) => problem.set(Some(error)),
    });
    let refetch = use_refetch(live, move || runs.refetch());
    refetch_when_connected(live, refetch);
    on_analysis(live, move |event| {
        meanwhile.note(event.clone());
        // How far a run of another page is changes nothing here.
        let moves = matches!(event.event, AnalysisEventKind::ProgressUpdated | AnalysisEventKind::ProposalsCreated);
        if !list.apply(event) && !moves {
            refetch.soon();
        }
    });
    // Only a change draws the list again, not every load.
    let wrong = Memo::new(move |_| problem.get());
    let reload = Callback::new(move |()| runs.refetch());
    view! {
        <Title text=format!("Analysis · {TITLE}")/>
        <div class="page">
            <div class="page-head">
                <h1>"Analysis"</h1>
                {may(Role::Operator).then(|| {
                    view! { <a class="button button-primary js-only" href=url::new_run() data-noscroll="">"New run…"</a> }
                })}
            </div>
            <RoleNote needs=Role::Operator what="Starting or reviewing a run"/>
            <Transition fallback=RowSkeletons>
                {draw_once(async move {
                    loaded.await;
                    live.connect();
                    move || match wrong.get() {
                        Some(error) => {
                            view! { <Problem error retry=reload clear=(url::ANALYSIS, "Show the newest runs")/> }.into_any()
                        }
                        None => view! { <Runs list/> }.into_any(),
                    }
                })}
            </Transition>
            <NewRunDialog open=new choices/>
        </div>
    }
}

#[component]
fn Runs(list: List) -> impl IntoView {
    let List { rows, total, pages, page } = list;
    let is_empty = Memo::new(move |_| rows.with(Vec::is_empty));
    let place = Memo::new(move |_| (page.get(), pages.get()));
    view! {
        <DatabaseBanner/>
        <Show when=move || !is_empty.get() fallback=move || view! { <Empty total=total.get()/> }>
            <p class="list-total" role="status">
                {move || match total.get() {
                    1 => "1 run".to_owned(),
                    total => format!("{} runs", format::grouped(total)),
                }}
            </p>
            <RunTable rows/>
        </Show>
        {move || {
            let (page, total_pages) = place.get();
            view! { <PageLinks page total_pages href=url::analysis/> }
        }}
    }
}

#[component]
fn Empty(total: i64) -> impl IntoView {
    if total > 0 {
        return view! {
            <div class="empty">
                <p>"There is no such page."</p>
                <p><a href=url::ANALYSIS>"Show the newest runs"</a></p>
            </div>
        }
        .into_any();
    }
    view! {
        <div class="empty analysis-empty" data-testid="no-runs">
            <p class="empty-title">"No analysis run yet"</p>
            <p>
                "A run lets an agent read the messages of some time. It leaves out small talk, goes through the rest in batches, and \
                 proposes the tasks that follow from them. You then approve, reject or merge what it proposes."
            </p>
            {may(Role::Operator).then(|| {
                view! { <p class="js-only"><a class="button" href=url::new_run() data-noscroll="">"New run…"</a></p> }
            })}
        </div>
    }
    .into_any()
}

/// A page of runs as signals that outlive every load.
#[derive(Clone, Copy)]
struct List {
    rows: RwSignal<Vec<RunRow>>,
    total: RwSignal<i64>,
    pages: RwSignal<i64>,
    page: RwSignal<i64>,
}

impl List {
    fn new() -> Self {
        Self { rows: RwSignal::default(), total: RwSignal::new(0), pages: RwSignal::new(0), page: RwSignal::new(1) }
    }

    /// Shows what was fetched. Rows that stay keep their place in the document, and focus.
    fn load(self, runs: Page<Run>) {
        let rows = runs.items.into_iter().map(|run| match self.row(run.id) {
            Some(row) => {
                row.run.set(run);
                row
            }
            None => RunRow { id: run.id, run: ArcRwSignal::new(run) },
        });
        self.rows.set(rows.collect());
        self.total.set(runs.total_count);
        self.pages.set(runs.total_pages);
        self.page.set(runs.page);
    }

    /// Whether it shows this page.
    fn shows(self, page: Result<i64, InvalidQuery>) -> bool {
        self.rows.with_untracked(|rows| !rows.is_empty()) && page == Ok(self.page.get_untracked())
    }

    /// Advances the run that the event is about. Says whether it is on this page.
    fn apply(self, event: &AnalysisEvent) -> bool {
        let Ok(update) = event.update() else { return true };
        let row = event.run_id().and_then(|id| self.row(id));
        if let Some(row) = &row {
            row.run.update(|run| run.apply(&update));
        }
        row.is_some()
    }

    fn row(self, id: uuid::Uuid) -> Option<RunRow> {
        self.rows.with_untracked(|rows| rows.iter().find(|row| row.id == id).cloned())
    }
}
