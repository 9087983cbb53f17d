use leptos::prelude::*;
use taskscope_wire::Execution;

use super::{
    Problem,
    load::{draw_once, follow},
    problem::passes,
};
use crate::{
    components::{DetailSkeleton, ExecutionDetail},
    error::AppError,
    live::{use_live, use_refetch},
};

/// An execution as it loads: none where no execution is asked for.
pub(super) type ExecutionResource = Resource<Option<Result<Execution, AppError>>>;

/// The details of an execution, loaded again whenever something happens to it.
#[component]
pub fn LoadedExecution(
    /// The execution.
    execution: ExecutionResource,
    /// Its id.
    #[prop(into)]
    id: Signal<Option<i64>>,
    /// What stands above its details, or above why there are none.
    head: fn(Option<&Execution>) -> AnyView,
    /// Where to go where it can't be shown, and what the link to it says.
    clear: (&'static str, &'static str),
) -> impl IntoView {
    let shown = RwSignal::new(None::<Result<Execution, AppError>>);
    let is_shown = move || shown.with_untracked(|shown| matches!(shown, Some(Ok(shown)) if Some(shown.id) == id.get_untracked()));
    let loaded = follow(execution, move |loaded| {
        let keep = matches!(&loaded, Some(Err(error)) if passes(error)) && is_shown();
        if !keep {
            shown.set(loaded);
        }
    });
    let reload = Callback::new(move |()| execution.refetch());
    reload_with_events(id, reload);
    view! {
        <Transition fallback=DetailSkeleton>
            {draw_once(async move {
                loaded.await;
                move || match shown.get()? {
                    Ok(execution) => {
                        let head = head(Some(&execution));
                        Some(view! { {head} <ExecutionDetail execution/> }.into_any())
                    }
                    Err(error) => Some(view! { {head(None)} <Problem error retry=reload clear/> }.into_any()),
                }
            })}
        </Transition>
    }
}

fn reload_with_events(id: Signal<Option<i64>>, reload: Callback<()>) {
    let live = use_live();
    let refetch = use_refetch(live, move || reload.run(()));
    let latest = live.latest();
    Effect::new(move |again: Option<()>| {
        let latest = latest.get();
        let id = id.get_untracked();
        if again.is_some() && latest.iter().any(|event| Some(event.data.task_id) == id) {
            refetch.soon();
        }
    });
}
