use leptos::prelude::*;
use taskscope_wire::{FoundSecret, RedactionPreview};

use super::{format, url};

/// What rules would redact in the newest executions.
#[component]
pub fn RedactionPreviewTable(
    /// What was found.
    preview: RedactionPreview,
) -> impl IntoView {
    let shown = preview.found.len();
    let more = preview.values - shown;
    view! {
        <div class="redaction-preview" data-testid="redaction-preview" data-values=preview.values.to_string()>
            <p role="status">{summary(&preview)}</p>
            {(shown > 0).then(|| view! { <Found found=preview.found/> })}
            {(more > 0).then(|| view! { <p class="field-hint">{format!("and {} more", format::count(more as i64))}</p> })}
        </div>
    }
}

#[component]
fn Found(found: Vec<FoundSecret>) -> impl IntoView {
    let row = |secret: FoundSecret| {
        let place = secret.place.clone();
        view! {
            <tr data-testid="redaction-found" data-place=place>
                <th scope="row">{secret.place}</th>
                <td><code>{secret.masked}</code></td>
                <td>{secret.rule}</td>
                <td><a href=url::execution(secret.execution_id)>{secret.task_name}</a></td>
            </tr>
        }
    };
    view! {
        <table class="list-table redaction-table">
            <caption class="visually-hidden">"Values that would be redacted, of the newest execution first"</caption>
            <thead>
                <tr>
                    <th scope="col">"Place"</th>
                    <th scope="col">"Value"</th>
                    <th scope="col">"For"</th>
                    <th scope="col">"Execution"</th>
                </tr>
            </thead>
            <tbody>{found.into_iter().map(row).collect_view()}</tbody>
        </table>
    }
}

fn summary(preview: &RedactionPreview) -> String {
    let executions = match preview.executions {
        0 => return "There are no executions to look at yet.".to_owned(),
        1 => "the newest execution".to_owned(),
        more => format!("the {} newest executions", format::count(more as i64)),
    };
    match preview.values {
        0 => format!("In {executions} nothing would be redacted that is not already."),
        1 => format!("In {executions} 1 value would be redacted."),
        more => format!(
            "In {executions} {} values would be redacted, in {} of them.",
            format::count(more as i64),
            format::count(preview.affected as i64)
        ),
    }
}

#[cfg(test)]
#[cfg(feature = "ssr")]
mod tests {
    use super::*;

    #[test]
    fn a_preview_says_what_it_found_and_escapes_it() {
        let owner = Owner::new();
        owner.set();
        let found = FoundSecret {
            execution_id: 7,
            task_name: "t".to_owned(),
            place: "params.<b>".to_owned(),
            rule: "password".to_owned(),
            masked: "hu••".to_owned(),
        };
        let preview = RedactionPreview { executions: 500, affected: 2, values: 3, found: vec![found] };
        let html = view! { <RedactionPreviewTable preview=preview.clone()/> }.to_html();
        for part in [
            "In the 500 newest executions 3 values would be redacted, in 2 of them.",
            "params.&lt;b&gt;",
            "hu••",
            "and 2 more",
            "/monitoring/executions/7",
        ] {
            assert!(html.contains(part), "{part} in {html}");
        }
        assert!(summary(&RedactionPreview::default()).starts_with("There are no executions"));
        assert!(
            summary(&RedactionPreview { executions: 1, ..RedactionPreview::default() }).contains("nothing would be redacted")
        );
    }
}
