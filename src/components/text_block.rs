use leptos::prelude::*;

use super::CopyButton;

/// A text that keeps its lines, scrolls within itself and can be copied.
#[component]
pub fn TextBlock(
    /// What it is, such as `Params`.
    #[prop(into)]
    label: String,
    /// The text.
    #[prop(into)]
    text: Signal<String>,
) -> impl IntoView {
    let what = label.to_lowercase();
    view! {
        <div class="text-block">
            <div class="text-block-head">
                <h3>{label.clone()}</h3>
                <CopyButton text what/>
            </div>
            // A region that scrolls can be reached by keyboard.
            <pre tabindex="0" role="region" aria-label=label><code>{move || text.get()}</code></pre>
        </div>
    }
}
