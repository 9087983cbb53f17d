use leptos::{html, prelude::*, task::spawn_local};
use leptos_router::{NavigateOptions, hooks::use_navigate};
use serde::{Deserialize, Serialize};
use taskscope_wire::{Assignment, NewRun, Project};
use uuid::Uuid;

use super::load::{draw_once, follow};
use crate::{
    components::{RunForm, show_modally, url},
    error::AppError,
    server_fns::{create_run, get_assignments, get_projects, start_run},
};

/// What a new run can be made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Choices {
    assignments: Vec<Assignment>,
    projects: Vec<Project>,
}

/// Loads what can be chosen, once a new run is asked for.
pub(super) async fn choices(asked: bool) -> Option<Result<Choices, AppError>> {
    if !asked {
        return None;
    }
    Some(async { Ok(Choices { assignments: get_assignments().await?, projects: get_projects().await? }) }.await)
}

/// The dialog that makes a run, starts it and goes to it.
#[component]
pub fn NewRunDialog(
    /// Whether the address asks for it.
    open: Memo<bool>,
    /// What can be chosen, as it loads.
    choices: Resource<Option<Result<Choices, AppError>>>,
) -> impl IntoView {
    let dialog = NodeRef::<html::Dialog>::new();
    let shown = RwSignal::new(None::<Result<Choices, AppError>>);
    let loaded = follow(choices, move |loaded| shown.set(loaded));
    let ready = Memo::new(move |_| open.get() && shown.with(Option::is_some));
    show_modally(dialog, ready.into());
    let navigate = use_navigate();
    let go = Callback::new(move |to: String| {
        navigate(&to, NavigateOptions { scroll: false, ..NavigateOptions::default() });
    });
    let close = Callback::new(move |()| go.run(url::ANALYSIS.to_owned()));
    let error = RwSignal::new(None::<String>);
    let busy = RwSignal::new(false);
    // A run that was made and could not be started.
    let made = RwSignal::new(None::<Uuid>);
    let submit = Callback::new(move |new: Result<NewRun, String>| match new {
        Err(wrong) => error.set(Some(wrong)),
        Ok(_) if busy.get_untracked() => {}
        Ok(new) => {
            busy.set(true);
            error.set(None);
            made.set(None);
            spawn_local(async move {
                match begin(new, made).await {
                    Ok(id) => go.run(url::analysis_run(id)),
                    Err(refused) => error.set(Some(refused.to_string())),
                }
                busy.set(false);
            });
        }
    });
    view! {
        <dialog
            class="dialog"
            data-testid="new-run"
            aria-labelledby="new-run-title"
            node_ref=dialog
            on:close=move |_| {
                error.set(None);
                made.set(None);
                if open.get_untracked() {
                    close.run(());
                }
            }
        >
            <h2 id="new-run-title">"New analysis run"</h2>
            <p class="dialog-text">"An agent reads messages and proposes the tasks that follow from them."</p>
            <Suspense>
                {draw_once(async move {
                    loaded.await;
                    move || match shown.get().filter(|_| ready.get())? {
                        Ok(Choices { assignments, projects }) => {
                            Some(view! { <RunForm assignments projects error busy submit close/> }.into_any())
                        }
                        Err(error) => Some(view! { <p class="task-form-error" role="alert">{error.to_string()}</p> }.into_any()),
                    }
                })}
            </Suspense>
            {move || {
                made.get().map(|id| {
                    view! { <p class="dialog-after">"The run is there all the same: " <a href=url::analysis_run(id)>"see what became of it"</a> "."</p> }
                })
            }}
        </dialog>
    }
}

/// Makes a run and starts it. Where only the first works, `made` says which it is.
async fn begin(new: NewRun, made: RwSignal<Option<Uuid>>) -> Result<Uuid, AppError> {
    let run = create_run(new).await?;
    start_run(run.id).await.inspect_err(|_| made.set(Some(run.id)))?;
    Ok(run.id)
}
