use std::time::Duration;

use leptos::prelude::*;

use super::browser;

/// How long the button says that it worked.
const SAID: Duration = Duration::from_secs(2);

/// Copies a text.
#[component]
pub fn CopyButton(
    /// What is copied.
    #[prop(into)]
    text: Signal<String>,
    /// What it is, such as `params`.
    #[prop(into)]
    what: String,
) -> impl IntoView {
    let copied = RwSignal::new(false);
    let copy = move |_| {
        if browser::copy(&text.get_untracked()) {
            copied.set(true);
            set_timeout(
                move || {
                    copied.try_set(false);
                },
                SAID,
            );
        }
    };
    view! {
        <button type="button" class="button button-small js-only" aria-label=format!("Copy {what}") on:click=copy>
            {move || if copied.get() { "Copied" } else { "Copy" }}
        </button>
    }
}
