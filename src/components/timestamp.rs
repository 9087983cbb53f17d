use chrono::{DateTime, Utc};
use leptos::prelude::*;

use super::format;

/// A time in UTC. How long ago it was is told on hover, and reckoned then: a page that is drawn twice must
/// not differ.
#[component]
pub fn Timestamp(
    /// The time.
    at: DateTime<Utc>,
    /// How it is written.
    #[prop(default = format::stamp)]
    write: fn(DateTime<Utc>) -> String,
) -> impl IntoView {
    let title = RwSignal::new(None::<String>);
    view! {
        <time
            class="number"
            datetime=format::iso(at)
            title=move || title.get().unwrap_or_else(|| format::iso(at))
            on:mouseenter=move |_| title.set(Some(format!("{} · {}", format::relative(at, Utc::now()), format::iso(at))))
        >
            {write(at)}
        </time>
    }
}
