use leptos::{prelude::*, task::spawn_local};
use taskscope_wire::{Role, Run, RunStatus};

use crate::{
    components::{ConfirmDialog, format, may},
    error::AppError,
    server_fns::{cancel_run, close_run, start_run},
};

/// What can be done with a run as a whole, by who may: start it, cancel it, close its review.
#[component]
pub fn RunActions(
    /// The run.
    run: Memo<Run>,
    /// Fetches it again.
    reload: Callback<()>,
) -> impl IntoView {
    if !may(Role::Operator) {
        return None;
    }
    let busy = RwSignal::new(false);
    let error = RwSignal::new(None::<String>);
    let (cancelling, closing) = (RwSignal::new(false), RwSignal::new(false));
    let id = Memo::new(move |_| run.with(|run| run.id));
    let status = Memo::new(move |_| run.with(|run| run.status));
    let waits = Memo::new(move |_| run.with(|run| run.status == RunStatus::Pending && run.task_id.is_none()));
    let pending = Memo::new(move |_| run.with(|run| run.proposals_pending));
    let reviewed = move || matches!(status.get(), RunStatus::Completed | RunStatus::Reviewed);
    let tell = move |answer: Result<(), AppError>| {
        // The page may be gone by now.
        if busy.try_set(false).is_none() {
            error.set(answer.err().map(|refused| refused.to_string()));
            reload.try_run(());
        }
    };
    let start = move |_| {
        busy.set(true);
        spawn_local(async move { tell(start_run(id.get_untracked()).await.map(drop)) });
    };
    let cancel = Callback::new(move |()| {
        busy.set(true);
        spawn_local(async move { tell(cancel_run(id.get_untracked()).await.map(drop)) });
    });
    let close = Callback::new(move |()| {
        busy.set(true);
        spawn_local(async move { tell(close_run(id.get_untracked()).await.map(drop)) });
    });
    let view = view! {
        <div class="run-actions js-only">
            <p class="run-actions-text" role="status">
                <span class="task-form-error" data-testid="run-action-error">{move || error.get()}</span>
                <span id="close-reason">{move || (reviewed() && pending.get() > 0).then(|| reason(pending.get()))}</span>
            </p>
            <Show when=move || waits.get()>
                <button type="button" class="button button-primary" disabled=move || busy.get() on:click=start>"Start"</button>
            </Show>
            <Show when=move || !status.get().is_over()>
                <button type="button" class="button" disabled=move || busy.get() on:click=move |_| cancelling.set(true)>"Cancel…"</button>
            </Show>
            <Show when=reviewed>
                <button
                    type="button"
                    class="button button-primary"
                    aria-describedby="close-reason"
                    disabled=move || busy.get() || pending.get() != 0
                    on:click=move |_| closing.set(true)
                >
                    "Close the review…"
                </button>
            </Show>
        </div>
        <ConfirmDialog
            open=cancelling
            id="cancel-title"
            title="Cancel this run?"
            text="It stops at once. What it has proposed so far stays."
            yes="Cancel the run"
            no="Let it run"
            confirm=cancel
        />
        <ConfirmDialog
            open=closing
            id="closing-title"
            title="Close the review?"
            text="Its decisions become final: they can't be undone afterwards."
            yes="Close the review"
            no="Not yet"
            confirm=close
        />
    };
    Some(view)
}

fn reason(pending: i64) -> String {
    match pending {
        1 => "1 proposal is not reviewed yet.".to_owned(),
        pending => format!("{} proposals are not reviewed yet.", format::grouped(pending)),
    }
}
