use std::time::Duration;

use leptos::{html, leptos_dom::helpers::debounce, prelude::*, web_sys::Element};
use leptos_meta::Title;
use leptos_router::{
    LazyRoute, NavigateOptions,
    hooks::{use_navigate, use_url},
    lazy_route,
};
use taskscope_wire::{InvalidQuery, LiveEvent, Page, Topic, TopicQuery};

use super::{
    DatabaseBanner, Problem, TITLE,
    current::{page_of, refetch_when_connected},
    load::{clear, draw_once, follow},
    problem::passes,
};
use crate::{
    components::{PageLinks, RowSkeletons, TopicTable, format, url},
    error::AppError,
    live::{Live, Refetch, use_live, use_refetch},
    server_fns::get_topics,
};

/// How long a reader must stop typing before the search runs.
const TYPING: Duration = Duration::from_millis(300);
/// The task types that change what is known.
const LEARNING: [&str; 5] = [
    "extract_knowledge_from_messages_task",
    "extract_topic_and_atoms_task",
    "generate_topic_summary_task",
    "scheduled_knowledge_extraction_task",
    "scheduled_auto_approval_task",
];

type Loaded = Result<(TopicQuery, Page<Topic>), AppError>;

/// The topics that messages talk about, a page of them at a time.
pub struct KnowledgePage;

/// What it loads.
struct Data {
    query: Memo<Result<TopicQuery, InvalidQuery>>,
    topics: Resource<Loaded>,
}

#[lazy_route]
impl LazyRoute for KnowledgePage {
    fn data() -> Self {
        Self
    }

    fn view(_page: Self) -> AnyView {
        view! { <KnowledgeView data=Data::load()/> }.into_any()
    }
}

impl Data {
    fn load() -> Self {
        let address = use_url();
        let query = Memo::new(move |_| address.with(|address| query_of(address.search())));
        let fetch = |query: Result<TopicQuery, InvalidQuery>| async move {
            let query = query?;
            let page = get_topics(query.clone()).await?;
            Ok((query, page))
        };
        Self { query, topics: Resource::new(move || query.get(), fetch) }
    }
}

/// What the address asks for.
fn query_of(search: &str) -> Result<TopicQuery, InvalidQuery> {
    let q = url::param(search, url::SEARCH).map(|q| q.trim().to_owned());
    Ok(TopicQuery { q, page: page_of(search)?, ..TopicQuery::default() })
}

/// Fetches anew when a task ends that changes what is known.
pub(super) fn refetch_with_knowledge(live: Live, refetch: Refetch) {
    let learns = |event: &LiveEvent| event.status.is_finished() && LEARNING.contains(&event.task_name.as_str());
    let latest = live.latest();
    Effect::new(move |again: Option<()>| {
        let latest = latest.get();
        if again.is_some() && latest.iter().any(|event| learns(event)) {
            refetch.soon();
        }
    });
}

#[component]
fn KnowledgeView(data: Data) -> impl IntoView {
    let Data { query, topics } = data;
    let live = use_live();
    let shown = RwSignal::new(None::<(TopicQuery, Page<Topic>)>);
    let problem = RwSignal::new(None::<AppError>);
    let shows =
        move || shown.with_untracked(|shown| shown.as_ref().map(|(query, _)| query.clone())) == query.get_untracked().ok();
    let loaded = follow(topics, move |loaded| match loaded {
        Ok(loaded) => {
            clear(problem);
            shown.set(Some(loaded));
        }
        // What is shown stays where newer can't be had.
        Err(error) if passes(&error) && shows() => {}
        Err(error) => problem.set(Some(error)),
    });
    let refetch = use_refetch(live, move || topics.refetch());
    refetch_with_knowledge(live, refetch);
    refetch_when_connected(live, refetch);
    let reload = Callback::new(move |()| topics.refetch());
    // Only a change draws the list again, not every load.
    let wrong = Memo::new(move |_| problem.get());
    view! {
        <Title text=format!("Knowledge · {TITLE}")/>
        <div class="page knowledge-page">
            <div class="page-head">
                <h1>"Knowledge"</h1>
                <Search query/>
            </div>
            <Transition fallback=RowSkeletons>
                {draw_once(async move {
                    loaded.await;
                    live.connect();
                    move || match wrong.get() {
                        Some(error) => {
                            view! { <Problem error retry=reload clear=(url::KNOWLEDGE, "Show all topics")/> }.into_any()
                        }
                        None => view! { <Topics shown/> }.into_any(),
                    }
                })}
            </Transition>
        </div>
    }
}

#[component]
fn Topics(shown: RwSignal<Option<(TopicQuery, Page<Topic>)>>) -> impl IntoView {
    let topics = Memo::new(move |_| shown.with(|shown| shown.as_ref().map(|(_, page)| page.items.clone())).unwrap_or_default());
    let place = Memo::new(move |_| {
        shown
            .with(|shown| shown.as_ref().map(|(query, page)| (query.clone(), page.total_count, page.total_pages)))
            .unwrap_or_default()
    });
    view! {
        <DatabaseBanner/>
        <Show
            when=move || topics.with(|topics| !topics.is_empty())
            fallback=move || place.with(|(query, total, _)| view! { <Empty searched=query.q.is_some() total=*total/> })
        >
            <p class="list-total" role="status">
                {move || match place.with(|(_, total, _)| *total) {
                    1 => "1 topic".to_owned(),
                    total => format!("{} topics", format::grouped(total)),
                }}
            </p>
            <TopicTable topics/>
        </Show>
        {move || {
            let (TopicQuery { q, page, .. }, _, total_pages) = place.get();
            let href = move |page: i64| url::knowledge(q.as_deref().unwrap_or_default(), page);
            view! { <PageLinks page total_pages href/> }
        }}
    }
}

#[component]
fn Empty(searched: bool, total: i64) -> impl IntoView {
    if searched || total > 0 {
        let text = if total > 0 { "There is no such page." } else { "No topic has this in its name or description." };
        return view! {
            <div class="empty">
                <p>{text}</p>
                <p><a href=url::KNOWLEDGE>"Show all topics"</a></p>
            </div>
        }
        .into_any();
    }
    view! {
        <div class="empty analysis-empty" data-testid="no-topics">
            <p class="empty-title">"Nothing is known yet"</p>
            <p>
                "Taskscope's worker looks through messages for topics, and for what was decided, solved, asked or understood about each. \
                 It does so by the clock, and when you tell it to."
            </p>
            <p><a class="button" href=url::run("extract_knowledge_from_messages_task")>"Extract knowledge now…"</a></p>
        </div>
    }
    .into_any()
}

/// The search: a form that works without scripts. What is typed is never overwritten while the field has focus.
#[component]
fn Search(query: Memo<Result<TopicQuery, InvalidQuery>>) -> impl IntoView {
    let input = NodeRef::<html::Input>::new();
    let text = Memo::new(move |_| query.get().ok().and_then(|query| query.q).unwrap_or_default());
    let navigate = use_navigate();
    let go = Callback::new(move |typed: String| {
        let typed = typed.trim();
        if text.try_get_untracked().is_some_and(|text| text != typed) {
            navigate(&url::knowledge(typed, 1), NavigateOptions { scroll: false, replace: true, ..NavigateOptions::default() });
        }
    });
    Effect::new(move |mounted: Option<bool>| {
        let text = text.get();
        let Some(input) = input.get() else { return false };
        if document().active_element().as_ref() != Some(&input as &Element) {
            input.set_value(&text);
        } else if mounted != Some(true) {
            // It was typed before the page was alive.
            go.run(input.value());
        }
        true
    });
    let mut search = debounce(TYPING, move |typed: String| {
        go.try_run(typed);
    });
    view! {
        <form
            class="knowledge-search field"
            method="get"
            action=url::KNOWLEDGE
            role="search"
            aria-label="Search topics"
            on:submit=move |event| event.prevent_default()
        >
            <label class="visually-hidden" for="topic-q">"Search topics"</label>
            <input
                id="topic-q"
                type="search"
                name=url::SEARCH
                placeholder="Search topics"
                node_ref=input
                value=text.get_untracked()
                on:input=move |event| search(event_target_value(&event))
            />
        </form>
    }
}
