use leptos::prelude::*;

/// How much a notice wants of its reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Something to know.
    Calm,
    /// Something to do.
    Wrong,
}

/// A message in place of content, or above it.
#[component]
pub fn Notice(
    /// How it is drawn.
    tone: Tone,
    /// What it is about, in a few words.
    #[prop(into)]
    title: Signal<String>,
    /// What there is to know, and what to do.
    children: Children,
) -> impl IntoView {
    let (tone, role) = match tone {
        Tone::Calm => ("calm", "status"),
        Tone::Wrong => ("wrong", "alert"),
    };
    view! {
        <div class="notice" data-tone=tone role=role>
            <p class="notice-title">{move || title.get()}</p>
            <div class="notice-body">{children()}</div>
        </div>
    }
}
