use leptos::prelude::*;

use super::Icon;

const LINKED: &str = "M2 8h2.5l2-5 3 10 2-5H14";
const BROKEN: &str = "M2 8h3M11 8h3M6 5l4 6M10 5l-4 6";
const WAITING: &str = "M8 2v3M8 11v3M2 8h3M11 8h3";

/// Whether the page is current, as icon and word.
#[component]
pub fn ConnectionStatus(
    /// Whether it is connected; none before the first connection.
    #[prop(into)]
    connected: Signal<Option<bool>>,
    /// Where it isn't: in how many seconds the next attempt is made.
    #[prop(into)]
    retry_in: Signal<Option<u32>>,
) -> impl IntoView {
    let word = move || match connected.get() {
        Some(true) => "Connected",
        Some(false) => "Disconnected",
        None => "Connecting…",
    };
    let state = move || match connected.get() {
        Some(true) => "connected",
        Some(false) => "disconnected",
        None => "connecting",
    };
    let icon = Signal::derive(move || match connected.get() {
        Some(true) => LINKED,
        Some(false) => BROKEN,
        None => WAITING,
    });
    view! {
        <div class="connection js-only" data-state=state>
            <span class="connection-word" data-testid="connection-status" role="status" aria-live="polite">
                <Icon d=icon/>
                <span>{word}</span>
            </span>
            <span class="connection-retry" aria-hidden="true">
                {move || retry_in.get().map(|seconds| format!("retry in {seconds} s"))}
            </span>
        </div>
    }
}

#[cfg(test)]
#[cfg(feature = "ssr")]
mod tests {
    use super::*;

    #[test]
    fn the_retry_stands_beside_the_word() {
        let owner = Owner::new();
        owner.set();
        let html = view! { <ConnectionStatus connected=Some(false) retry_in=Some(3)/> }.to_html();
        let (status, retry) = html.split_once("connection-retry").unwrap();
        assert!(status.contains("Disconnected") && !status.contains("retry in") && retry.contains("retry in 3 s"), "{html}");
    }
}
