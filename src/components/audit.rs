use leptos::prelude::*;
use taskscope_wire::AuditEntry;

use super::Timestamp;

/// A page of the audit log.
#[component]
pub fn AuditTable(
    /// Newest first.
    #[prop(into)]
    entries: Signal<Vec<AuditEntry>>,
) -> impl IntoView {
    view! {
        <table class="list-table access-table audit-table">
            <caption class="visually-hidden">"What was done, newest first"</caption>
            <thead>
                <tr>
                    <th scope="col">"Time"</th>
                    <th scope="col">"Who"</th>
                    <th scope="col">"Action"</th>
                    <th scope="col">"On"</th>
                    <th scope="col" class="numeric">"Answer"</th>
                </tr>
            </thead>
            <tbody>
                <For each=move || entries.get() key=|entry| entry.id let:entry>
                    <Row entry/>
                </For>
            </tbody>
        </table>
    }
}

#[component]
fn Row(entry: AuditEntry) -> impl IntoView {
    let AuditEntry { at, actor, via, address, action, target, status, .. } = entry;
    let who = if actor.is_empty() { "(unknown)".to_owned() } else { actor };
    let how = [Some(via), address].into_iter().flatten().collect::<Vec<_>>().join(", ");
    let done = status < 400;
    view! {
        <tr data-testid="audit">
            <td><Timestamp at/></td>
            <td>{who} " " <span class="access-by">{how}</span></td>
            <td><code>{action}</code></td>
            <td class="audit-target" data-label="On">{(!target.is_empty()).then_some(target)}</td>
            <td class="numeric" data-label="Answer">{status.to_string()} {if done { "" } else { " refused" }}</td>
        </tr>
    }
}
