use leptos::{html, prelude::*, task::spawn_local};
use leptos_router::{NavigateOptions, hooks::use_navigate};
use serde::{Deserialize, Serialize};
use taskscope_wire::{Assignment, NewRun, Project};
use uuid::Uuid;

use super::{
    load::{draw_once, follow},
    problem::passes,
};
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
    let retry = Callback::new(move |()| choices.refetch());
    let error = RwSignal::new(None::<String>);
    let busy = RwSignal::new(false);
    // A run that was made and could not be started.
    let made = RwSignal::new(None::<Made>);
    // How often the dialog was closed: an answer to what was asked before that goes nowhere.
    let closed = StoredValue::new(0_u32);
    let submit = Callback::new(move |new: Result<NewRun, String>| match new {
        Err(wrong) => error.set(Some(wrong)),
        Ok(_) if busy.get_untracked() => {}
        Ok(new) => {
            busy.set(true);
            error.set(None);
            let before = closed.get_value();
            let known = made.get_untracked().filter(|made| made.waits).map(|made| made.id);
            made.set(None);
            spawn_local(async move {
                let answer = begin(new, known).await;
                // The page may be gone by now.
                if busy.try_set(false).is_some() || closed.get_value() != before {
                    return;
                }
                match answer {
                    Ok(id) => {
                        go.try_run(url::analysis_run(id));
                    }
                    Err((refused, run)) => {
                        error.set(Some(refused.to_string()));
                        made.set(run);
                    }
                }
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
                closed.update_value(|times| *times += 1);
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
                        Err(error) => Some(view! { <NoChoices error retry close/> }.into_any()),
                    }
                })}
            </Suspense>
            {move || {
                made.get().map(|Made { id, .. }| {
                    view! { <p class="dialog-after">"The run is there all the same: " <a href=url::analysis_run(id)>"see what became of it"</a> "."</p> }
                })
            }}
        </dialog>
    }
}

/// Says why there is nothing to choose from.
#[component]
fn NoChoices(error: AppError, retry: Callback<()>, close: Callback<()>) -> impl IntoView {
    view! {
        <p class="task-form-error" role="alert" data-testid="no-choices">{error.to_string()}</p>
        <div class="task-form-buttons">
            <button type="button" class="button" on:click=move |_| close.run(())>"Close"</button>
            <button type="button" class="button button-primary" on:click=move |_| retry.run(())>"Try again"</button>
        </div>
    }
}

/// A run that was made and could not be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Made {
    id: Uuid,
    /// Whether it can be started still.
    waits: bool,
}

/// Makes a run, unless that worked before, and starts it. Where only that fails, the error comes with the run.
async fn begin(new: NewRun, known: Option<Uuid>) -> Result<Uuid, (AppError, Option<Made>)> {
    let id = match known {
        Some(id) => id,
        None => create_run(new).await.map_err(|refused| (refused, None))?.id,
    };
    match start_run(id).await {
        Ok(_) => Ok(id),
        Err(refused) => {
            let waits = passes(&refused);
            Err((refused, Some(Made { id, waits })))
        }
    }
}
