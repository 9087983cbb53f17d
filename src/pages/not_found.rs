use leptos::prelude::*;
use leptos_meta::Title;

use super::TITLE;
use crate::{components::url, live::use_live};

/// Shown where no page has the address.
#[component]
pub fn NotFound() -> impl IntoView {
    use_live().connect();
    view! {
        <Title text=format!("Not found · {TITLE}")/>
        <div class="page not-found">
            <h1>"There is no such page"</h1>
            <p><a href=url::OVERVIEW>"Go to the Overview"</a></p>
        </div>
    }
}
