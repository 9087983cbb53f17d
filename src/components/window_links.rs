use leptos::prelude::*;

use super::url;

/// The windows to choose from: hours and name.
const WINDOWS: [(u32, &str, &str); 5] =
    [(1, "1 h", "1 hour"), (6, "6 h", "6 hours"), (24, "24 h", "24 hours"), (168, "7 d", "7 days"), (720, "30 d", "30 days")];

/// A window in words: `24 hours`, `7 days`.
#[must_use]
pub fn in_words(hours: u32) -> String {
    let named = WINDOWS.iter().find(|(known, ..)| *known == hours);
    named.map_or_else(|| format!("{hours} hours"), |(_, _, words)| (*words).to_owned())
}

/// The choice of the window that a page counts over.
#[component]
pub fn WindowLinks(
    /// The window that is shown, in hours.
    #[prop(into)]
    hours: Signal<Option<u32>>,
    /// The page's address without its parameters.
    #[prop(into)]
    address: Signal<String>,
) -> impl IntoView {
    let links = WINDOWS.map(|(value, short, words)| {
        view! {
            <li>
                <a
                    href=move || format!("{}?{}={value}", address.read(), url::WINDOW)
                    aria-current=move || (hours.get() == Some(value)).then_some("true")
                    aria-label=format!("Last {words}")
                    data-noscroll=""
                >
                    {short}
                </a>
            </li>
        }
    });
    view! {
        <nav aria-label="Time window">
            <ul class="segments">{links}</ul>
        </nav>
    }
}
