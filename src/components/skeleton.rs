use leptos::prelude::*;

/// Stands for cards while they load, in their size.
#[component]
pub fn CardSkeletons() -> impl IntoView {
    view! {
        <div class="cards" role="status" aria-label="Loading">
            {(0..12).map(|_| view! { <div class="skeleton skeleton-card"></div> }).collect_view()}
        </div>
    }
}

/// Stands for rows of a table while they load.
#[component]
pub fn RowSkeletons() -> impl IntoView {
    view! {
        <div class="skeleton-rows" role="status" aria-label="Loading">
            {(0..12).map(|_| view! { <div class="skeleton skeleton-row"></div> }).collect_view()}
        </div>
    }
}

/// Stands for the details of an execution while they load.
#[component]
pub fn DetailSkeleton() -> impl IntoView {
    view! {
        <div class="skeleton-rows" role="status" aria-label="Loading">
            <div class="skeleton skeleton-row"></div>
            <div class="skeleton skeleton-card"></div>
            <div class="skeleton skeleton-card"></div>
        </div>
    }
}
