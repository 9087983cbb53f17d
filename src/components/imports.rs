use leptos::prelude::*;
use taskscope_wire::Import;

use super::{format, url};

/// How far the newest imports of messages have come.
#[component]
pub fn ImportList(
    /// The imports, newest first.
    #[prop(into)]
    imports: Signal<Vec<Import>>,
) -> impl IntoView {
    view! {
        <ul class="imports panel" data-testid="imports">
            {move || imports.get().into_iter().map(|import| view! { <Row import/> }).collect_view()}
        </ul>
    }
}

#[component]
fn Row(import: Import) -> impl IntoView {
    let text = in_words(&import);
    let share = match (import.finished_at, import.total) {
        (Some(_), _) => Some((1, 1)),
        (None, Some(total)) if total > 0 => Some((import.done.min(total), total)),
        _ => None,
    };
    let name = format!("Import from {}", import.origin);
    view! {
        <li class="import" data-task-id=import.task_id.clone() data-done=import.done.to_string() data-finished=import.finished_at.map(|_| "")>
            <a href=url::history_of_id(&import.task_id)>{name.clone()}</a>
            <progress class="bar" aria-label=name value=share.map(|(done, _)| done.to_string()) max=share.map(|(_, total)| total.to_string())></progress>
            <span class="import-text number">{text}</span>
        </li>
    }
}

fn in_words(import: &Import) -> String {
    let n = format::grouped;
    let read = match import.total {
        Some(total) if import.finished_at.is_none() => format!("{} of {} read", n(import.done), n(total)),
        _ => format!("{} read", n(import.done)),
    };
    let known = import.done - import.added - import.updated - import.skipped;
    format!(
        "{read}: {} new, {} edited, {} known, {} skipped",
        n(import.added),
        n(import.updated),
        n(known.max(0)),
        n(import.skipped)
    )
}

#[cfg(test)]
#[cfg(feature = "ssr")]
mod tests {
    use chrono::DateTime;

    use super::*;

    #[test]
    fn an_import_says_how_far_it_is() {
        let owner = Owner::new();
        owner.set();
        let import = |finished| Import {
            task_id: "01".to_owned(),
            source: "export".to_owned(),
            origin: "result.json".to_owned(),
            total: Some(10_500),
            done: 5_200,
            added: 5_000,
            updated: 0,
            skipped: 12,
            started_at: DateTime::UNIX_EPOCH,
            finished_at: finished,
        };
        let html = |finished| view! { <ImportList imports=Signal::stored(vec![import(finished)])/> }.to_html();
        let running = html(None);
        assert!(running.contains("5,200 of 10,500 read: 5,000 new, 0 edited, 188 known, 12 skipped"), "{running}");
        assert!(running.contains(r#"value="5200""#) && running.contains(r#"max="10500""#), "{running}");
        assert!(html(Some(DateTime::UNIX_EPOCH)).contains("5,200 read:"));
    }
}
