use leptos::{ev, html, prelude::*};
use taskscope_wire::{Execution, HistoryQuery, InvalidQuery};

use super::{LoadedExecution, loaded_execution::ExecutionResource};
use crate::components::{row_link, url};

/// The details of one execution beside the list: opened and closed by the address, with focus in it while it is open.
#[component]
pub fn HistoryPanel(
    /// The execution that the address opens.
    #[prop(into)]
    selected: Signal<Option<Result<i64, InvalidQuery>>>,
    /// The list's filters, to which closing returns.
    #[prop(into)]
    query: Signal<HistoryQuery>,
    /// The execution, as it loads.
    execution: ExecutionResource,
    /// Goes to an address, and says whether it replaces the last one in the browser's history.
    #[prop(into)]
    go: Callback<(String, bool)>,
) -> impl IntoView {
    let panel = NodeRef::<html::Aside>::new();
    let open = Memo::new(move |_| selected.with(Option::is_some));
    let id = Memo::new(move |_| selected.get().and_then(Result::ok));
    let close = move || url::history(&query.read());
    follow_focus(id, panel);
    close_on_escape(open, move || go.run((untrack(close), false)));
    view! {
        <Show when=move || open.get()>
            <aside class="panel history-panel" data-testid="execution-detail" aria-label="Execution details" tabindex="-1" node_ref=panel>
                <div class="history-panel-head">
                    <h2>"Execution details"</h2>
                    {move || id.get().map(|id| view! { <a class="button button-small" href=url::execution(id)>"Open as page"</a> })}
                    <a class="button button-small" href=close data-noscroll="">"Close"</a>
                </div>
                <LoadedExecution id execution head clear=(url::HISTORY, "Back to the list")/>
            </aside>
        </Show>
    }
}

fn head(execution: Option<&Execution>) -> AnyView {
    let link = |execution: &Execution| {
        let name = execution.task_name.clone();
        view! { <p class="detail-name"><a href=url::task_type(&name)>{name.clone()}</a></p> }
    };
    execution.map(link).into_any()
}

/// Moves focus into the panel when it opens, and back to the row's link when it closes.
fn follow_focus(id: Memo<Option<i64>>, panel: NodeRef<html::Aside>) {
    Effect::new(move |before: Option<Option<i64>>| {
        let id = id.get();
        let Some(before) = before else { return id };
        if id != before {
            // The panel is there, or gone, after this change was drawn.
            request_animation_frame(move || match id {
                Some(_) => drop(panel.get_untracked().map(|panel| panel.focus())),
                None => drop(before.and_then(|id| focus_on(&row_link(id)))),
            });
        }
        id
    });
}

/// Moves focus to the element with this id, if it is there.
pub(super) fn focus_on(id: &str) -> Option<()> {
    use leptos::{wasm_bindgen::JsCast, web_sys::HtmlElement};
    document().get_element_by_id(id)?.dyn_into::<HtmlElement>().ok()?.focus().ok()
}

fn close_on_escape(open: Memo<bool>, close: impl Fn() + Clone + 'static) {
    Effect::new(move |_| {
        if open.get() {
            let close = close.clone();
            let listener = window_event_listener(ev::keydown, move |event| {
                if event.key() == "Escape" && !event.default_prevented() {
                    close();
                }
            });
            on_cleanup(move || listener.remove());
        }
    });
}
