use leptos::{ev::MouseEvent, prelude::*, wasm_bindgen::JsCast, web_sys::Element};
use taskscope_wire::{Execution, HistoryQuery, TaskStatus};

use super::{StalledTag, StatusBadge, Timestamp, format, url};

/// How much of an error message a row shows.
const ERROR: usize = 160;

/// An execution in the table, with its own signal, so that an event redraws one row only.
#[derive(Debug, Clone)]
pub struct HistoryRow {
    /// The execution's id.
    pub id: i64,
    /// The execution.
    pub execution: ArcRwSignal<Execution>,
}

/// A page of history. A click anywhere on a row opens the details.
#[component]
pub fn HistoryTable(
    /// The rows, newest first.
    #[prop(into)]
    rows: Signal<Vec<HistoryRow>>,
    /// What they are a page of.
    #[prop(into)]
    query: Signal<HistoryQuery>,
    /// The execution whose details are open.
    #[prop(into)]
    selected: Signal<Option<i64>>,
    /// Goes to an address of the dashboard.
    #[prop(into)]
    go: Callback<String>,
) -> impl IntoView {
    view! {
        <table class="history-table">
            <caption class="visually-hidden">"Executions, newest first"</caption>
            <thead>
                <tr>
                    <th scope="col">"Task"</th>
                    <th scope="col">"Status"</th>
                    <th scope="col">"Started"</th>
                    <th scope="col" class="numeric">"Duration"</th>
                    <th scope="col">"Error"</th>
                </tr>
            </thead>
            <tbody>
                <For each=move || rows.get() key=|row| row.id let:row>
                    <Row id=row.id execution=row.execution query selected go/>
                </For>
            </tbody>
        </table>
    }
}

#[component]
fn Row(
    id: i64,
    #[prop(into)] execution: Signal<Execution>,
    query: Signal<HistoryQuery>,
    selected: Signal<Option<i64>>,
    go: Callback<String>,
) -> impl IntoView {
    let status = Memo::new(move |_| execution.with(|execution| execution.status));
    let name = Memo::new(move |_| execution.with(|execution| execution.task_name.clone()));
    let stalled =
        Memo::new(move |_| execution.with(|execution| execution.stalled.filter(|_| execution.status == TaskStatus::Running)));
    let href = move || query.with(|query| url::history_with(query, id));
    let is_selected = Memo::new(move |_| selected.get() == Some(id));
    let open = move |event: MouseEvent| {
        if opens(&event) {
            go.run(untrack(href));
        }
    };
    view! {
        <tr
            class="history-row"
            data-testid="history-row"
            data-id=id.to_string()
            data-task-name=name
            data-status=move || status.get().as_str()
            data-selected=move || is_selected.get().then_some("")
            on:click=open
        >
            <td class="history-task">
                <a id=row_link(id) href=href data-noscroll="" aria-current=move || is_selected.get().then_some("true")>
                    {name}
                </a>
                {move || attempt(&execution.read())}
            </td>
            <td class="history-status">
                <StatusBadge status/>
                {move || execution.with(is_retried).then(|| view! { <span class="tag">"retried"</span> })}
                {move || stalled.get().map(|reason| view! { <StalledTag reason/> })}
            </td>
            <td class="history-started">{move || started(&execution.read())}</td>
            <td class="history-duration numeric number">{move || ran(&execution.read())}</td>
            <td class="history-error">
                {move || execution.with(|execution| execution.error_message.as_deref().map(|error| format::cut(error, ERROR)))}
            </td>
        </tr>
    }
}

/// The id of the link that opens an execution's details, to which focus returns.
#[must_use]
pub fn row_link(id: i64) -> String {
    format!("execution-{id}")
}

/// Whether a click on a row means the row: not a link in it, and not the end of a selection of text.
fn opens(event: &MouseEvent) -> bool {
    let on_link = event.target().and_then(|target| target.dyn_into::<Element>().ok());
    let on_link = on_link.and_then(|target| target.closest("a, button").ok().flatten()).is_some();
    !on_link && !event.default_prevented() && !event.ctrl_key() && !event.meta_key() && !event.shift_key()
}

fn is_retried(execution: &Execution) -> bool {
    execution.retried && execution.status == TaskStatus::Failed
}

fn attempt(execution: &Execution) -> Option<impl IntoView + use<>> {
    (execution.attempt > 1).then(|| view! { <span class="tag">{format!("attempt {}", execution.attempt)}</span> })
}

fn ran(execution: &Execution) -> String {
    execution.duration_ms.map_or_else(|| format::NONE.to_owned(), |ms| format::duration(ms as f64))
}

/// When it started; for one that ran and never said so, when it was first heard of.
fn started(execution: &Execution) -> AnyView {
    match execution.status {
        TaskStatus::Pending => format::NONE.into_any(),
        _ => view! { <Timestamp at=execution.started_at.unwrap_or(execution.created_at)/> }.into_any(),
    }
}

#[cfg(test)]
#[cfg(feature = "ssr")]
mod tests {
    use super::*;
    use crate::components::execution_detail::fixture;

    #[test]
    fn a_retried_failure_says_so() {
        let owner = Owner::new();
        owner.set();
        let mut execution = fixture(7, TaskStatus::Failed);
        execution.retried = true;
        let row = |execution: Execution| HistoryRow { id: execution.id, execution: ArcRwSignal::new(execution) };
        let rows = RwSignal::new(vec![row(execution), row(fixture(8, TaskStatus::Success))]);
        let query = RwSignal::new(HistoryQuery::default());
        let go = Callback::new(|_: String| ());
        let html = view! { <HistoryTable rows query selected=Some(7) go/> }.to_html();
        assert_eq!(html.matches("history-row").count(), 4, "{html}");
        assert_eq!(html.matches("retried").count(), 1, "{html}");
        assert!(html.contains(r#"href="/monitoring/history?execution=7""#), "{html}");
        assert!(html.contains("2026-11-21 10:30:00") && html.contains("320ms"), "{html}");
    }
}
