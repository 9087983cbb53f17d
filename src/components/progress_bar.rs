use leptos::prelude::*;

/// How much of something is done. It moves without pause where nobody knows how much there is.
#[component]
pub fn ProgressBar(
    /// What is counted.
    #[prop(into)]
    label: String,
    /// How much is done.
    #[prop(into)]
    done: Signal<i64>,
    /// How much there is to do; 0 where that is not known.
    #[prop(into)]
    all: Signal<i64>,
) -> impl IntoView {
    let known = Memo::new(move |_| all.get() > 0);
    view! {
        <progress
            class="bar"
            aria-label=label
            value=move || known.get().then(|| done.get().min(all.get()).to_string())
            max=move || known.get().then(|| all.get().to_string())
        ></progress>
    }
}
