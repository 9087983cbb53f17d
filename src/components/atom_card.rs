use leptos::{html, prelude::*, web_sys::Element};
use taskscope_wire::{Atom, AtomStatus};

use super::{AtomBadge, MessageList, format};

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
    let (buttons, approve, undo) = (NodeRef::<html::Span>::new(), NodeRef::new(), NodeRef::new());
    keep_focus(status, buttons, approve, undo);
    let button = move |to: AtomStatus, word: &'static str, node: NodeRef<html::Button>| {
        view! {
            <button
                type="button"
                class="button button-small"
                node_ref=node
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
                <span class="atom-buttons js-only" node_ref=buttons>
                    {button(AtomStatus::Approved, "Approve", approve)}
                    {button(AtomStatus::Rejected, "Reject", NodeRef::new())}
                    {button(AtomStatus::Pending, "Undo", undo)}
                </span>
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

/// Moves focus from a button that a decision hides to the one that comes in its place.
fn keep_focus(
    status: Memo<AtomStatus>,
    buttons: NodeRef<html::Span>,
    approve: NodeRef<html::Button>,
    undo: NodeRef<html::Button>,
) {
    Effect::new(move |before: Option<bool>| {
        let pending = status.get() == AtomStatus::Pending;
        let focused = document().active_element();
        let inside = buttons.get().is_some_and(|buttons| (&buttons as &Element).contains(focused.as_deref()));
        if inside && before.is_some_and(|before| before != pending) {
            // The button is shown after this change was drawn.
            request_animation_frame(move || {
                let button = if pending { approve } else { undo };
                drop(button.try_get_untracked().flatten().map(|button| button.focus()));
            });
        }
        pending
    });
}

fn facts(atom: &Atom) -> String {
    let version = if atom.version > 1 { format!(" · version {}", atom.version) } else { String::new() };
    format!("{} sure{version}", format::share(atom.confidence))
}
