use leptos::{prelude::*, task::spawn_local};
use leptos_meta::Title;
use leptos_router::{LazyRoute, lazy_route};
use taskscope_wire::{Redaction, RedactionPreview, RedactionRules, Role};

use super::{
    Problem, TITLE,
    load::{clear, draw_once, follow},
};
use crate::{
    components::{AlwaysRedacted, RedactionForm, RedactionPreviewTable, RoleNote, RowSkeletons, TypedRules, url},
    error::AppError,
    live::use_live,
    server_fns::{change_redaction, get_redaction, preview_redaction},
};

/// What is redacted before it is stored, and the form that changes it.
pub struct RedactionPage;

/// What it loads.
struct Data {
    redaction: Resource<Result<Redaction, AppError>>,
}

#[lazy_route]
impl LazyRoute for RedactionPage {
    fn data() -> Self {
        Self
    }

    fn view(_page: Self) -> AnyView {
        view! { <RedactionView resource=Data::load().redaction/> }.into_any()
    }
}

impl Data {
    fn load() -> Self {
        Self { redaction: Resource::new(|| (), |()| get_redaction()) }
    }
}

#[component]
fn RedactionView(resource: Resource<Result<Redaction, AppError>>) -> impl IntoView {
    use_live().connect();
    let saved = RwSignal::new(None::<Redaction>);
    let problem = RwSignal::new(None::<AppError>);
    let typed = TypedRules::new();
    let loaded = follow(resource, move |loaded| match loaded {
        Ok(redaction) => {
            clear(problem);
            typed.set(&redaction.rules);
            saved.set(Some(redaction));
        }
        Err(error) => problem.set(Some(error)),
    });
    let reload = Callback::new(move |()| resource.refetch());
    view! {
        <Title text=format!("Redaction · {TITLE}")/>
        <div class="page tasks-page">
            <div class="page-head">
                <h1>"Redaction"</h1>
            </div>
            <p class="tasks-intro">
                "Secrets in params, labels, results, error messages and tracebacks are replaced by " <code>"[redacted]"</code>
                " before anything is stored or shown. What was stored before a rule stays as it is."
            </p>
            <Transition fallback=RowSkeletons>
                {draw_once(async move {
                    loaded.await;
                    move || match problem.get() {
                        Some(error) => {
                            view! { <Problem error retry=reload clear=(url::WORKERS, "Go to the Workers")/> }.into_any()
                        }
                        None => view! { <Rules saved typed/> }.into_any(),
                    }
                })}
            </Transition>
        </div>
    }
}

/// What is tried and saved.
#[derive(Clone, Copy)]
struct Actions {
    typed: TypedRules,
    saved: RwSignal<Option<Redaction>>,
    error: RwSignal<Option<String>>,
    busy: RwSignal<bool>,
    /// What was tried last, and what came of it.
    tried: RwSignal<Option<(RedactionRules, RedactionPreview)>>,
    /// Whether what is saved was saved here.
    done: RwSignal<bool>,
}

impl Actions {
    fn preview(self) {
        let rules = untrack(|| self.typed.get());
        self.ask(async move { preview_redaction(rules.clone()).await.map(|found| (rules, found)) }, move |tried| {
            self.tried.set(Some(tried));
        });
    }

    fn save(self) {
        let rules = untrack(|| self.typed.get());
        self.ask(change_redaction(rules), move |redaction| {
            self.typed.set(&redaction.rules);
            self.saved.set(Some(redaction));
            self.tried.set(None);
            self.done.set(true);
        });
    }

    /// One question at a time.
    fn ask<T: 'static>(self, question: impl Future<Output = Result<T, AppError>> + 'static, take: impl FnOnce(T) + 'static) {
        if self.busy.get_untracked() {
            return;
        }
        self.busy.set(true);
        self.error.set(None);
        self.done.set(false);
        spawn_local(async move {
            let answer = question.await;
            // The page may be gone by now.
            if self.busy.try_set(false).is_some() {
                return;
            }
            match answer {
                Ok(answer) => take(answer),
                Err(refused) => self.error.set(Some(refused.to_string())),
            }
        });
    }
}

#[component]
fn Rules(saved: RwSignal<Option<Redaction>>, typed: TypedRules) -> impl IntoView {
    let actions = Actions {
        typed,
        saved,
        error: RwSignal::new(None),
        busy: RwSignal::new(false),
        tried: RwSignal::new(None),
        done: RwSignal::new(false),
    };
    let Actions { error, busy, tried, done, .. } = actions;
    let can_save = Memo::new(move |_| {
        let rules = typed.get();
        let is_tried = tried.with(|tried| tried.as_ref().is_some_and(|(tried, _)| *tried == rules));
        is_tried && saved.with(|saved| saved.as_ref().is_some_and(|saved| saved.rules != rules))
    });
    let defaults = move || saved.get_untracked().map(|saved| view! { <AlwaysRedacted defaults=saved.defaults/> });
    view! {
        <section class="section" aria-labelledby="redaction-own">
            <h2 id="redaction-own">"Your rules"</h2>
            <RoleNote needs=Role::Admin what="Changing them"/>
            <RedactionForm
                typed
                error
                busy
                can_save
                preview=Callback::new(move |()| actions.preview())
                save=Callback::new(move |()| actions.save())
            />
            <p role="status" class="redaction-saved" data-testid="redaction-saved">
                {move || done.get().then_some("Saved. Events that come from now on are redacted like this.")}
            </p>
            {move || tried.get().map(|(_, preview)| view! { <RedactionPreviewTable preview/> })}
        </section>
        <section class="section" aria-labelledby="redaction-always">
            <h2 id="redaction-always">"Redacted always"</h2>
            {defaults()}
        </section>
    }
}
