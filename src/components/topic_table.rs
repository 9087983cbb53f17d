use leptos::prelude::*;
use taskscope_wire::Topic;

use super::{Timestamp, format, url};

/// A page of topics.
#[component]
pub fn TopicTable(
    /// The topics, the one that changed last first.
    #[prop(into)]
    topics: Signal<Vec<Topic>>,
) -> impl IntoView {
    view! {
        <table class="list-table topic-table">
            <caption class="visually-hidden">"Topics, the one that changed last first"</caption>
            <thead>
                <tr>
                    <th scope="col">"Topic"</th>
                    <th scope="col" class="numeric">"Atoms"</th>
                    <th scope="col" class="numeric">"Approved"</th>
                    <th scope="col" class="numeric">"Messages"</th>
                    <th scope="col" class="numeric">"Last change"</th>
                </tr>
            </thead>
            <tbody>
                // A topic that changed is another row: nothing in it is worth keeping.
                <For each=move || topics.get() key=|topic| (topic.id, topic.updated_at, topic.atoms_approved) let:topic>
                    <Row topic/>
                </For>
            </tbody>
        </table>
    }
}

#[component]
fn Row(topic: Topic) -> impl IntoView {
    let number = |name: &'static str, label: &'static str, value: i64| {
        view! {
            <td class="numeric">
                <span data-count=name data-value=value.to_string()>{format::count(value)}</span>
                <span class="run-label">{label}</span>
            </td>
        }
    };
    view! {
        <tr class="topic-row" data-testid="topic-row" data-id=topic.id.to_string()>
            <th scope="row">
                <a href=url::topic(topic.id, 1)>{topic.name}</a>
                <p class="topic-description">{topic.description}</p>
            </th>
            {number("atoms", " atoms", topic.atoms)}
            {number("approved", " approved", topic.atoms_approved)}
            {number("messages", " messages", topic.messages)}
            <td class="topic-changed numeric"><Timestamp at=topic.updated_at/></td>
        </tr>
    }
}
