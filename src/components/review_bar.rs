use leptos::{html, prelude::*};
use taskscope_wire::Review;
use uuid::Uuid;

use super::show_modally;

/// The keys of a review, and what each does.
const KEYS: [(&[&str], &str); 8] = [
    (&["J", "↓"], "Next proposal"),
    (&["K", "↑"], "Previous proposal"),
    (&["A"], "Approve"),
    (&["R"], "Reject"),
    (&["M"], "Merge into the one that says the same, or into one you choose"),
    (&["U"], "Undo the last decision"),
    (&["?"], "Show these keys"),
    (&["Esc"], "Close what is open"),
];

/// What can be decided about the current proposal, each by a button that names its key.
#[component]
pub fn ReviewBar(
    /// Whether the current proposal waits for a decision.
    #[prop(into)]
    pending: Signal<bool>,
    /// Whether there is a decision to take back.
    #[prop(into)]
    undoable: Signal<bool>,
    /// Decides.
    #[prop(into)]
    decide: Callback<Review>,
    /// Shows the keys.
    #[prop(into)]
    help: Callback<()>,
) -> impl IntoView {
    let button = move |review: Review, key: &'static str, word: &'static str, can: Signal<bool>| {
        view! {
            <button
                type="button"
                class="button"
                aria-keyshortcuts=key
                // Not disabled: focus stays where it is when a decision was made.
                aria-disabled=move || (!can.get()).then_some("true")
                on:click=move |_| decide.run(review)
            >
                {word}
                <kbd aria-hidden="true">{key}</kbd>
            </button>
        }
    };
    view! {
        <div class="review-bar js-only" role="group" aria-label="Decide about the current proposal">
            {button(Review::Approve, "A", "Approve", pending)}
            {button(Review::Reject, "R", "Reject", pending)}
            {button(Review::Merge, "M", "Merge", pending)}
            {button(Review::Undo, "U", "Undo", undoable)}
            <button type="button" class="button review-help" aria-keyshortcuts="?" aria-label="Keys" on:click=move |_| help.run(())>
                <kbd aria-hidden="true">"?"</kbd>
            </button>
        </div>
    }
}

/// Says which keys there are.
#[component]
pub fn KeysDialog(
    /// Whether it is shown; closing sets it back.
    open: RwSignal<bool>,
) -> impl IntoView {
    let dialog = NodeRef::<html::Dialog>::new();
    show_modally(dialog, open.into());
    let rows = KEYS.map(|(keys, text)| {
        let keys = keys.iter().map(|key| view! { <kbd>{*key}</kbd> }).collect_view();
        view! { <div><dt>{keys}</dt><dd>{text}</dd></div> }
    });
    view! {
        <dialog class="dialog dialog-small" data-testid="keys" aria-labelledby="keys-title" node_ref=dialog on:close=move |_| open.set(false)>
            <h2 id="keys-title">"Keys of the review"</h2>
            <dl class="keys">{rows}</dl>
            <div class="task-form-buttons">
                <button type="button" class="button" on:click=move |_| open.set(false)>"Close"</button>
            </div>
        </dialog>
    }
}

/// Asks which proposal another one is merged into.
#[component]
pub fn MergeDialog(
    /// The proposal for which it is asked; closing sets it back.
    merging: RwSignal<Option<Uuid>>,
    /// Why it could not be merged without asking.
    #[prop(into)]
    error: Signal<Option<String>>,
    /// The proposals to choose from, with their titles.
    #[prop(into)]
    targets: Signal<Vec<(Uuid, String)>>,
    /// Takes the proposal and the choice.
    #[prop(into)]
    merge: Callback<(Uuid, Uuid)>,
) -> impl IntoView {
    let dialog = NodeRef::<html::Dialog>::new();
    show_modally(dialog, Signal::derive(move || merging.with(Option::is_some)));
    let choose = move |target: Uuid| {
        if let Some(id) = merging.get_untracked() {
            merging.set(None);
            merge.run((id, target));
        }
    };
    view! {
        <dialog class="dialog" data-testid="merge" aria-labelledby="merge-title" node_ref=dialog on:close=move |_| merging.set(None)>
            <h2 id="merge-title">"Merge into which proposal?"</h2>
            {move || error.get().map(|error| view! { <p class="task-form-error">{error}</p> })}
            <Show
                when=move || targets.with(|targets| !targets.is_empty())
                fallback=|| view! { <p class="dialog-text">"There is no other proposal on this page that it could be part of."</p> }
            >
                <ul class="merge-targets">
                    <For each=move || targets.get() key=|target| target.0 let:target>
                        <li>
                            <button type="button" data-id=target.0.to_string() on:click=move |_| choose(target.0)>{target.1}</button>
                        </li>
                    </For>
                </ul>
            </Show>
            <div class="task-form-buttons">
                <button type="button" class="button" on:click=move |_| merging.set(None)>"Cancel"</button>
            </div>
        </dialog>
    }
}
