use leptos::{prelude::*, task::spawn_local};
use leptos_meta::Title;
use leptos_router::{
    LazyRoute,
    hooks::{use_params_map, use_url},
    lazy_route,
};
use taskscope_wire::{Atom, AtomQuery, AtomStatus, InvalidQuery, Page, Topic};
use uuid::Uuid;

use super::{
    DatabaseBanner, Problem, TITLE,
    analysis_run::id_of,
    current::{Meanwhile, page_of, refetch_when_connected},
    knowledge::refetch_with_knowledge,
    load::{clear, draw_once, follow},
    problem::passes,
};
use crate::{
    components::{AtomCard, DetailSkeleton, PageLinks, Timestamp, format, url},
    error::AppError,
    live::{use_live, use_refetch},
    server_fns::{get_atoms, get_topic, review_atom},
};

type Loaded = Result<(Topic, Page<Atom>), AppError>;

/// One topic, with what is known of it.
pub struct TopicPage;

/// What it loads.
struct Data {
    id: Memo<Result<Uuid, AppError>>,
    topic: Resource<Loaded>,
    meanwhile: Meanwhile<Atom>,
}

#[lazy_route]
impl LazyRoute for TopicPage {
    fn data() -> Self {
        Self
    }

    fn view(_page: Self) -> AnyView {
        view! { <TopicView data=Data::load()/> }.into_any()
    }
}

impl Data {
    fn load() -> Self {
        let (params, address) = (use_params_map(), use_url());
        let id = Memo::new(move |_| id_of(&params.with(|params| params.get("id")).unwrap_or_default(), "topic"));
        let page = Memo::new(move |_| address.with(|address| page_of(address.search())));
        let meanwhile = Meanwhile::new();
        let fetch = move |(id, page): (Result<Uuid, AppError>, Result<i64, InvalidQuery>)| {
            meanwhile.begin();
            async move {
                let (id, page) = (id?, page?);
                let topic = get_topic(id).await?;
                Ok((topic, get_atoms(AtomQuery { topic_id: Some(id), page, ..AtomQuery::default() }).await?))
            }
        };
        Self { id, topic: Resource::new(move || (id.get(), page.get()), fetch), meanwhile }
    }
}

#[component]
fn TopicView(data: Data) -> impl IntoView {
    let Data { id, topic: resource, meanwhile } = data;
    let live = use_live();
    let topic = RwSignal::new(None::<Topic>);
    let atoms = Atoms::new(meanwhile);
    let problem = RwSignal::new(None::<AppError>);
    let is_shown = move || topic.with_untracked(|topic| topic.as_ref().map(|topic| topic.id)) == id.get_untracked().ok();
    let loaded = follow(resource, move |loaded| match loaded {
        Ok((new, page)) => {
            clear(problem);
            topic.set(Some(new));
            atoms.load(page);
        }
        // What is shown stays where newer can't be had.
        Err(error) if passes(&error) && is_shown() => {}
        Err(error) => problem.set(Some(error)),
    });
    let refetch = use_refetch(live, move || resource.refetch());
    refetch_with_knowledge(live, refetch);
    refetch_when_connected(live, refetch);
    let decided = Callback::new(move |()| refetch.soon());
    let reload = Callback::new(move |()| resource.refetch());
    // Only a change draws the page again, not every load.
    let wrong = Memo::new(move |_| problem.get());
    let head = Memo::new(move |_| topic.get());
    view! {
        <Title text=format!("Topic · {TITLE}")/>
        <div class="page topic-page" data-testid="topic">
            <nav class="crumbs" aria-label="Breadcrumb">
                <a href=url::KNOWLEDGE>"Knowledge"</a>
            </nav>
            <Transition fallback=DetailSkeleton>
                {draw_once(async move {
                    loaded.await;
                    live.connect();
                    move || match wrong.get() {
                        Some(error) => {
                            view! {
                                <h1>"Topic"</h1>
                                <Problem error retry=reload clear=(url::KNOWLEDGE, "Show all topics")/>
                            }
                            .into_any()
                        }
                        None => {
                            view! {
                                <DatabaseBanner/>
                                {move || head.get().map(|topic| view! { <Head topic/> })}
                                <AtomList topic atoms decided/>
                            }
                            .into_any()
                        }
                    }
                })}
            </Transition>
        </div>
    }
}

#[component]
fn Head(topic: Topic) -> impl IntoView {
    let summary = topic.summary.map(|summary| {
        let written = topic.summarized_at.map(|at| view! { <p class="topic-written">"Written by a model " <Timestamp at/></p> });
        view! {
            <section class="topic-summary panel" aria-labelledby="summary-title">
                <h2 id="summary-title">"Summary"</h2>
                <p class="proposal-text">{summary}</p>
                {written}
            </section>
        }
    });
    let number = |name: &'static str, label: &'static str, value: i64| {
        view! { <div><dt>{label}</dt><dd data-count=name data-value=value.to_string()>{format::count(value)}</dd></div> }
    };
    view! {
        <h1 class="detail-name">{topic.name}</h1>
        <p class="topic-intro">{topic.description}</p>
        <dl class="facts topic-facts">
            {number("atoms", "Atoms", topic.atoms)}
            {number("approved", "Approved", topic.atoms_approved)}
            {number("messages", "Messages", topic.messages)}
            <div><dt>"First found"</dt><dd><Timestamp at=topic.created_at/></dd></div>
            <div><dt>"Last change"</dt><dd><Timestamp at=topic.updated_at/></dd></div>
        </dl>
        {summary}
    }
}

#[component]
fn AtomList(topic: RwSignal<Option<Topic>>, atoms: Atoms, decided: Callback<()>) -> impl IntoView {
    let id = Memo::new(move |_| topic.with(|topic| topic.as_ref().map(|topic| topic.id)));
    let place = Memo::new(move |_| atoms.place.get());
    view! {
        <section class="section" aria-labelledby="atoms-title">
            <h2 id="atoms-title">"What is known"</h2>
            <p class="task-form-error" role="alert" data-testid="atom-error">{move || atoms.error.get()}</p>
            <Show
                when=move || atoms.rows.with(|rows| !rows.is_empty())
                fallback=|| view! { <p class="empty">"There are no atoms here."</p> }
            >
                <ul class="atoms">
                    <For each=move || atoms.rows.get() key=|row| row.0 let:row>
                        <li>
                            <AtomCard atom=row.1 decide=move |status| atoms.decide(row.0, status, decided)/>
                        </li>
                    </For>
                </ul>
            </Show>
            {move || {
                let (page, total_pages) = place.get();
                id.get().map(|id| view! { <PageLinks page total_pages href=move |page| url::topic(id, page)/> })
            }}
        </section>
    }
}

/// A page of atoms as signals that outlive every load.
#[derive(Clone, Copy)]
struct Atoms {
    rows: RwSignal<Vec<(Uuid, ArcRwSignal<Atom>)>>,
    /// Which page it is, of how many.
    place: RwSignal<(i64, i64)>,
    error: RwSignal<Option<String>>,
    meanwhile: Meanwhile<Atom>,
}

impl Atoms {
    fn new(meanwhile: Meanwhile<Atom>) -> Self {
        Self { rows: RwSignal::default(), place: RwSignal::new((1, 0)), error: RwSignal::new(None), meanwhile }
    }

    /// Shows what was fetched. Atoms that stay keep their place in the document, and focus.
    fn load(self, page: Page<Atom>) {
        self.place.set((page.page, page.total_pages));
        let rows = page.items.into_iter().map(|atom| match self.row(atom.id) {
            Some(row) => {
                row.set(atom.clone());
                (atom.id, row)
            }
            None => (atom.id, ArcRwSignal::new(atom)),
        });
        let rows = rows.collect();
        self.rows.set(rows);
        self.meanwhile.each(|atom| self.show(atom));
    }

    fn row(self, id: Uuid) -> Option<ArcRwSignal<Atom>> {
        self.rows.with_untracked(|rows| rows.iter().find(|row| row.0 == id).map(|row| row.1.clone()))
    }

    /// Shows an atom as the server says that it is now; the messages that it came from stay.
    fn show(self, new: &Atom) {
        if let Some(row) = self.row(new.id) {
            row.update(|atom| {
                let messages = std::mem::take(&mut atom.messages);
                *atom = Atom { messages, ..new.clone() };
            });
        }
    }

    fn decide(self, id: Uuid, status: AtomStatus, decided: Callback<()>) {
        spawn_local(async move {
            let answer = review_atom(id, status).await;
            // The page may be gone by now.
            if self.error.try_set(answer.as_ref().err().map(ToString::to_string)).is_some() {
                return;
            }
            if let Ok(atom) = answer {
                self.show(&atom);
                self.meanwhile.note(atom);
                decided.run(());
            }
        });
    }
}
