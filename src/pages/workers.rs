use std::time::Duration;

use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::{LazyRoute, lazy_route};
use taskscope_wire::Workers;

use super::{
    DatabaseBanner, Problem, TITLE,
    dead_letters::DeadLetters,
    load::{clear, draw_once, follow},
    problem::passes,
};
use crate::{
    components::{Notice, QueueTable, RowSkeletons, Tone, WorkerList, url},
    error::AppError,
    live::{use_live, use_refetch},
    server_fns::get_workers,
};

/// How often the page is fetched again: heartbeats are no events.
const AGAIN: Duration = Duration::from_secs(2);

/// The workers, what each runs now, and what waits for them.
pub struct WorkersPage;

/// What it loads.
struct Data {
    workers: Resource<Result<Workers, AppError>>,
}

#[lazy_route]
impl LazyRoute for WorkersPage {
    fn data() -> Self {
        Self
    }

    fn view(_page: Self) -> AnyView {
        view! { <WorkersView resource=Data::load().workers/> }.into_any()
    }
}

impl Data {
    fn load() -> Self {
        Self { workers: Resource::new(|| (), |()| get_workers()) }
    }
}

#[component]
fn WorkersView(resource: Resource<Result<Workers, AppError>>) -> impl IntoView {
    let live = use_live();
    let shown = RwSignal::new(None::<Workers>);
    let problem = RwSignal::new(None::<AppError>);
    let loaded = follow(resource, move |loaded| match loaded {
        Ok(workers) => {
            live.start_at(&workers.position);
            clear(problem);
            shown.set(Some(workers));
        }
        // What is shown stays where newer can't be had.
        Err(error) if passes(&error) && shown.with_untracked(Option::is_some) => {}
        Err(error) => problem.set(Some(error)),
    });
    let reload = Callback::new(move |()| resource.refetch());
    let refetch = use_refetch(live, move || resource.refetch());
    Effect::new(move |_| {
        let timer = set_interval_with_handle(move || refetch.soon(), AGAIN);
        on_cleanup(move || drop(timer.map(|timer| timer.clear())));
    });
    view! {
        <Title text=format!("Workers · {TITLE}")/>
        <div class="page">
            <div class="page-head">
                <h1>"Workers"</h1>
                <a class="button" href=url::REDACTION>"Redaction of secrets"</a>
            </div>
            <Transition fallback=RowSkeletons>
                {draw_once(async move {
                    loaded.await;
                    live.connect();
                    move || match problem.get() {
                        Some(error) => {
                            view! { <Problem error retry=reload clear=(url::OVERVIEW, "Go to the Overview")/> }.into_any()
                        }
                        None => view! { <Board shown reload/> }.into_any(),
                    }
                })}
            </Transition>
        </div>
    }
}

#[component]
fn Board(shown: RwSignal<Option<Workers>>, reload: Callback<()>) -> impl IntoView {
    let now = Memo::new(move |_| shown.with(|shown| shown.as_ref().map(|shown| shown.generated_at)).unwrap_or_default());
    let workers = Memo::new(move |_| shown.with(|shown| shown.as_ref().map(|shown| shown.workers.clone())).unwrap_or_default());
    let queues = Memo::new(move |_| shown.with(|shown| shown.as_ref().map(|shown| shown.queues.clone())).unwrap_or_default());
    let dead_letters = Memo::new(move |_| shown.with(|shown| shown.as_ref().map(|shown| shown.dead_letters)).unwrap_or_default());
    view! {
        <DatabaseBanner/>
        <ServerNotices/>
        <DeadLetters count=dead_letters reload/>
        <section class="section" aria-labelledby="queues-title">
            <h2 id="queues-title">"Queues"</h2>
            <Show
                when=move || queues.with(|queues| !queues.is_empty())
                fallback=|| view! { <p class="empty">"Nothing waits, and no worker names a queue."</p> }
            >
                <QueueTable queues now/>
            </Show>
        </section>
        <section class="section" aria-labelledby="workers-title">
            <h2 id="workers-title">"Workers that send heartbeats"</h2>
            <Show
                when=move || workers.with(|workers| !workers.is_empty())
                fallback=|| {
                    view! {
                        <p class="empty">
                            "No worker sends heartbeats. Those that report through Taskscope's own clients do, for Python and for Rust; \
                             the stock TaskIQ middlewares don't."
                        </p>
                    }
                }
            >
                <WorkerList workers now/>
            </Show>
        </section>
    }
}

/// What those who run the server should know.
#[component]
fn ServerNotices() -> impl IntoView {
    let server = use_live().server();
    let notices =
        Memo::new(move |_| server.with(|server| server.as_ref().map(|server| server.notices.clone())).unwrap_or_default());
    view! {
        <Show when=move || notices.with(|notices| !notices.is_empty())>
            <Notice tone=Tone::Calm title="About this server">
                <ul data-testid="server-notices">
                    {move || notices.get().into_iter().map(|notice| view! { <li>{notice}</li> }).collect_view()}
                </ul>
            </Notice>
        </Show>
    }
}
