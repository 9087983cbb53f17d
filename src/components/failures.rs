use leptos::prelude::*;
use taskscope_wire::Execution;

use super::{Timestamp, format, url};

/// How much of an error message a line shows.
const ERROR: usize = 160;

/// The newest failures of a task type, each with the way to its details.
#[component]
pub fn Failures(
    /// The executions, newest first.
    #[prop(into)]
    executions: Signal<Vec<Execution>>,
) -> impl IntoView {
    let line = |execution: Execution| {
        let message = execution.error_message.as_deref().map_or_else(|| "No message".to_owned(), |text| format::cut(text, ERROR));
        view! {
            <li>
                <a href=url::execution(execution.id)>{message}</a>
                <Timestamp at=execution.completed_at.unwrap_or(execution.created_at)/>
            </li>
        }
    };
    view! {
        <Show
            when=move || executions.with(|executions| !executions.is_empty())
            fallback=|| view! { <p class="empty">"No failures in this window"</p> }
        >
            <ul class="failures panel" data-testid="failures">
                <For each=move || executions.get() key=|execution| (execution.id, execution.updated_at) let:execution>{line(execution)}</For>
            </ul>
        </Show>
    }
}

#[cfg(test)]
#[cfg(feature = "ssr")]
mod tests {
    use taskscope_wire::TaskStatus;

    use super::*;
    use crate::components::execution_detail::fixture;

    fn failures(executions: Vec<Execution>) -> String {
        let owner = Owner::new();
        owner.set();
        view! { <Failures executions=Signal::stored(executions)/> }.to_html()
    }

    #[test]
    fn each_failure_leads_to_its_details() {
        let html = failures(vec![fixture(7, TaskStatus::Failed)]);
        assert!(html.contains(r#"href="/monitoring/executions/7""#) && html.contains("No messages provided"), "{html}");
        assert!(failures(Vec::new()).contains("No failures in this window"));
    }
}
