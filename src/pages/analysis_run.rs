use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::{
    LazyRoute,
    hooks::{use_params_map, use_url},
    lazy_route,
};
use taskscope_wire::{AnalysisEvent, AnalysisEventKind, InvalidQuery, Run, RunLogLine, RunStatus};
use uuid::Uuid;

use super::{
    DatabaseBanner, Problem, TITLE,
    analysis_actions::RunActions,
    analysis_log::Log,
    analysis_review::ReviewSection,
    analysis_reviewing::{Proposals, Reviewing, fetch_proposals},
    current::{Meanwhile, on_analysis, page_of, refetch_when_connected},
    load::{clear, draw_once, follow},
    problem::passes,
};
use crate::{
    components::{DetailSkeleton, RunBadge, RunFacts, RunFailure, RunLog, RunOutcome, RunProgress, format, url},
    error::AppError,
    live::{use_live, use_refetch},
    server_fns::{get_projects, get_run, get_run_log},
};

/// One analysis run: how far it is, its log, and the review of what it proposes.
pub struct RunPage;

/// What it loads.
struct Data {
    id: Memo<Result<Uuid, AppError>>,
    /// The page of its proposals.
    page: Memo<Result<i64, InvalidQuery>>,
    /// The run, and the name of its project.
    run: Resource<Result<(Run, Option<String>), AppError>>,
    meanwhile: Meanwhile<AnalysisEvent>,
    log: Resource<Result<(Uuid, Vec<RunLogLine>), AppError>>,
    proposals: Resource<Result<Proposals, AppError>>,
    reviewing: Reviewing,
}

#[lazy_route]
impl LazyRoute for RunPage {
    fn data() -> Self {
        Self
    }

    fn view(_page: Self) -> AnyView {
        view! { <RunView data=Data::load()/> }.into_any()
    }
}

impl Data {
    fn load() -> Self {
        let (params, address) = (use_params_map(), use_url());
        let id = Memo::new(move |_| id_of(&params.with(|params| params.get("id")).unwrap_or_default(), "analysis run"));
        let page = Memo::new(move |_| address.with(|address| page_of(address.search())));
        let meanwhile = Meanwhile::new();
        let reviewing = Reviewing::new();
        let fetch_run = move |id: Result<Uuid, AppError>| {
            meanwhile.begin();
            async move { with_project(get_run(id?).await?).await }
        };
        let fetch_log = |id: Result<Uuid, AppError>| async move {
            let id = id?;
            Ok((id, get_run_log(id, 0).await?))
        };
        Self {
            id,
            page,
            run: Resource::new(move || id.get(), fetch_run),
            meanwhile,
            log: Resource::new(move || id.get(), fetch_log),
            proposals: Resource::new(move || (id.get(), page.get()), move |(id, page)| fetch_proposals(reviewing, id, page)),
            reviewing,
        }
    }
}

/// The id that an address names.
pub(super) fn id_of(name: &str, what: &str) -> Result<Uuid, AppError> {
    name.parse().map_err(|_| AppError::NotFound(format!("{what} {name}")))
}

async fn with_project(run: Run) -> Result<(Run, Option<String>), AppError> {
    let Some(id) = run.project_config_id else { return Ok((run, None)) };
    let name = get_projects().await?.into_iter().find(|project| project.id == id).map(|project| project.name);
    Ok((run, name))
}

#[component]
fn RunView(data: Data) -> impl IntoView {
    let Data { id, page, run, meanwhile, log: log_lines, proposals, reviewing } = data;
    let live = use_live();
    let shown = RwSignal::new(None::<Run>);
    let project = RwSignal::new(None::<String>);
    let problem = RwSignal::new(None::<AppError>);
    let is_shown = move || shown.with_untracked(|shown| shown.as_ref().map(|run| run.id)) == id.get_untracked().ok();
    let loaded = follow(run, move |loaded| match loaded {
        Ok((mut run, name)) => {
            meanwhile.each(|event| advance(&mut run, event));
            project.set(name);
            shown.set(Some(run));
            clear(problem);
        }
        // What is shown stays where newer can't be had.
        Err(error) if passes(&error) && is_shown() => {}
        Err(error) => problem.set(Some(error)),
    });
    let log = Log::new(id);
    log.follow(Memo::new(move |_| shown.with(|shown| shown.as_ref().is_some_and(|run| run.status == RunStatus::Running))));
    let logged = follow(log_lines, move |loaded| drop(loaded.map(|(run, lines)| log.load(run, lines))));
    let proposed = follow(proposals, move |loaded| reviewing.load(loaded));
    Effect::new(move |before: Option<(Result<Uuid, AppError>, Result<i64, InvalidQuery>)>| {
        let place = (id.get(), page.get());
        if before.as_ref() != Some(&place) {
            reviewing.turn_to(place.0.clone().ok());
        }
        place
    });
    let refetch = use_refetch(live, move || {
        run.refetch();
        proposals.refetch();
        log.fetch();
    });
    let refetch_log = use_refetch(live, move || log.fetch());
    refetch_when_connected(live, refetch);
    on_analysis(live, move |event| {
        if event.run_id() != id.get_untracked().ok() {
            return;
        }
        meanwhile.note(event.clone());
        shown.update(|shown| {
            if let Some(run) = shown {
                advance(run, event);
            }
        });
        // A progress says all but what the log says of it.
        match event.event {
            AnalysisEventKind::ProgressUpdated => refetch_log.soon(),
            _ => refetch.soon(),
        }
    });
    // Only a change draws the page again, not every load.
    let wrong = Memo::new(move |_| problem.get());
    let there = Memo::new(move |_| shown.with(Option::is_some));
    let reload = Callback::new(move |()| {
        run.refetch();
        proposals.refetch();
        log.fetch();
    });
    view! {
        <Title text=format!("Analysis run · {TITLE}")/>
        <div class="page run-page" data-testid="analysis-run">
            <nav class="crumbs" aria-label="Breadcrumb">
                <a href=url::ANALYSIS>"Analysis"</a>
            </nav>
            <Transition fallback=DetailSkeleton>
                {draw_once(async move {
                    loaded.await;
                    logged.await;
                    proposed.await;
                    live.connect();
                    move || match wrong.get() {
                        Some(error) => {
                            view! {
                                <h1>"Analysis run"</h1>
                                <Problem error retry=reload clear=(url::ANALYSIS, "Show all runs")/>
                            }
                            .into_any()
                        }
                        None => {
                            there.get().then(|| view! { <Board shown project log reviewing reload/> }).into_any()
                        }
                    }
                })}
            </Transition>
        </div>
    }
}

fn advance(run: &mut Run, event: &AnalysisEvent) {
    if let Ok(update) = event.update() {
        run.apply(&update);
    }
}

#[component]
fn Board(
    shown: RwSignal<Option<Run>>,
    project: RwSignal<Option<String>>,
    log: Log,
    reviewing: Reviewing,
    reload: Callback<()>,
) -> impl IntoView {
    // It is drawn only where there is a run; what is shown last stays while another one loads.
    let Some(first) = shown.get_untracked() else { return ().into_any() };
    let run = Memo::new(move |last: Option<&Run>| shown.get().or_else(|| last.cloned()).unwrap_or_else(|| first.clone()));
    let status = Memo::new(move |_| run.with(|run| run.status));
    let window = Memo::new(move |_| run.with(|run| format::window(run.time_window_start, run.time_window_end)));
    let error = Memo::new(move |_| run.with(|run| run.error_log.clone()));
    let outcome = Memo::new(move |_| run.with(|run| run.accuracy_metrics.clone()));
    view! {
        <DatabaseBanner/>
        <div class="page-head run-head">
            <div class="run-title" data-testid="run-status" data-status=move || status.get().to_string()>
                <h1>"Analysis run"</h1>
                <RunBadge status/>
            </div>
            <RunActions run reload/>
        </div>
        <p class="run-window number">"Messages of " {window} " UTC"</p>
        {move || error.get().map(|error| view! { <RunFailure error/> })}
        {move || outcome.get().map(|metrics| view! { <RunOutcome metrics/> })}
        <div class="run-top">
            <div class="run-main">
                <RunProgress run/>
                <section class="run-facts panel" aria-label="About this run">
                    <RunFacts run project/>
                </section>
            </div>
            <section class="run-log-section" aria-labelledby="log-title">
                <h2 id="log-title">"Log"</h2>
                <RunLog lines=log.lines()/>
            </section>
        </div>
        <ReviewSection reviewing run retry=reload/>
    }
    .into_any()
}
