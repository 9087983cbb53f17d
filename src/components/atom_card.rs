use leptos::prelude::*;
use taskscope_wire::{Atom, AtomStatus, Role};

use super::{AtomBadge, MessageList, format, may};

/// A piece of knowledge, with what can be decided about it.
#[component]
pub fn AtomCard(
    /// The atom.
    #[prop(into)]
    atom: Signal<Atom>,
    /// Decides what becomes of it.
    #[prop(into)]
    decide: Callback<AtomStatus>,
) -> impl IntoView {
    let text = move |of: fn(&Atom) -> String| Memo::new(move |_| atom.with(of));
    let status = Memo::new(move |_| atom.with(|atom| atom.status));
    let messages = Memo::new(move |_| atom.with(|atom| atom.messages.clone()));
    let (title, content) = (text(|atom| atom.title.clone()), text(|atom| atom.content.clone()));
    let button = move |to: AtomStatus, word: &'static str| {
        view! {
            <button
                type="button"
                class="button button-small"
                hidden=move || (status.get() == AtomStatus::Pending) == (to == AtomStatus::Pending)
                aria-label=move || format!("{word}: {}", title.get())
                on:click=move |_| decide.run(to)
            >
                {word}
            </button>
        }
    };
    view! {
        <article class="atom panel" data-testid="atom" data-id=move || atom.with(|atom| atom.id.to_string()) data-status=move || status.get().to_string()>
            <div class="atom-head">
                <span class="tag">{text(|atom| atom.kind.to_string())}</span>
                <AtomBadge status/>
                {move || {
                    let auto = atom.with(|atom| atom.auto_approved && atom.status == AtomStatus::Approved);
                    auto.then(|| view! { <span class="tag" title="Approved by the clock, for its confidence">"auto-approved"</span> })
                }}
                <span class="atom-facts number">{text(facts)}</span>
                {may(Role::Operator).then(|| {
                    view! {
                        <span class="atom-buttons js-only">
                            {button(AtomStatus::Approved, "Approve")}
                            {button(AtomStatus::Rejected, "Reject")}
                            {button(AtomStatus::Pending, "Undo")}
                        </span>
                    }
                })}
            </div>
            <h3>{title}</h3>
            <p class="proposal-text">{content}</p>
            {move || {
                let messages = messages.get();
                (!messages.is_empty()).then(|| {
                    let summary = format!("Source messages ({})", format::grouped(messages.len() as i64));
                    view! {
                        <details>
                            <summary>{summary}</summary>
                            <MessageList messages/>
                        </details>
                    }
                })
            }}
        </article>
    }
}

fn facts(atom: &Atom) -> String {
    let version = if atom.version > 1 { format!(" · version {}", atom.version) } else { String::new() };
    format!("{} sure{version}", format::share(atom.confidence))
}
