use std::time::Duration;

use leptos::prelude::*;
use taskscope_wire::ServerState;

use crate::{
    components::{Notice, Tone, format, url},
    error::AppError,
    live::use_live,
};

/// How often a page that could not be loaded tries again.
const AGAIN: Duration = Duration::from_millis(2_500);

/// What a page shows where it has nothing to show: what is wrong, and what happens or can be done about it. Where waiting
/// helps, it tries again by itself.
#[component]
pub fn Problem(
    /// Why there is nothing.
    error: AppError,
    /// Loads again.
    #[prop(into)]
    retry: Callback<()>,
    /// The address without the parameters that may be wrong, and what the link to it says.
    clear: (&'static str, &'static str),
) -> impl IntoView {
    let server = use_live().server();
    if passes(&error) {
        try_again(retry);
    }
    let text = error.to_string();
    let link = view! { <p><a href=clear.0>{clear.1}</a></p> };
    match error {
        AppError::DatabaseAway => view! {
            <Notice tone=Tone::Calm title=Signal::derive(move || server.with(|server| away(server.as_ref())))>
                <p>"This page tries again by itself."</p>
            </Notice>
        }
        .into_any(),
        AppError::Unreachable(_) => view! {
            <Notice tone=Tone::Calm title="Server unreachable">
                <p>"The server does not answer. This page tries again by itself."</p>
            </Notice>
        }
        .into_any(),
        AppError::Internal(_) => view! {
            <Notice tone=Tone::Wrong title="Something went wrong">
                <p>{text}</p>
                <p>"This page tries again by itself."</p>
            </Notice>
        }
        .into_any(),
        AppError::Invalid(invalid) => {
            let allowed = format!("{} {}.", invalid.parameter, invalid.allowed);
            view! {
                <Notice tone=Tone::Wrong title="This address is not understood">
                    <p>{allowed}</p>
                    <p>"It says " <code>{invalid.value}</code> "."</p>
                    {link}
                </Notice>
            }
            .into_any()
        }
        AppError::LoginNeeded => view! {
            <Notice tone=Tone::Calm title="You are not logged in">
                <p>"The session is over, or was ended. " <a href=url::LOGIN rel="external">"Log in"</a></p>
            </Notice>
        }
        .into_any(),
        AppError::NotAllowed(_) => view! {
            <Notice tone=Tone::Wrong title="Your role doesn't allow this">
                <p>{text}</p>
                {link}
            </Notice>
        }
        .into_any(),
        AppError::Refused(_) => view! {
            <Notice tone=Tone::Wrong title="This can't be done">
                <p>{text}</p>
                {link}
            </Notice>
        }
        .into_any(),
        AppError::NotFound(_) => view! {
            <Notice tone=Tone::Wrong title="Not found">
                <p>{text}</p>
                {link}
            </Notice>
        }
        .into_any(),
    }
}

/// Says above a page that has content that it can't become newer now.
#[component]
pub fn DatabaseBanner() -> impl IntoView {
    let server = use_live().server();
    let down = Memo::new(move |_| server.with(|server| server.as_ref().is_some_and(|server| !server.database_up)));
    view! {
        <Show when=move || down.get()>
            <Notice tone=Tone::Calm title=Signal::derive(move || server.with(|server| away(server.as_ref())))>
                <p>"What is shown is from before; it becomes current again by itself."</p>
            </Notice>
        </Show>
    }
}

fn away(server: Option<&ServerState>) -> String {
    let known = server.filter(|server| !server.database_up);
    let since = known.and_then(|server| server.database_down_since);
    let since = since.map(|since| format!(" since {} UTC", format::clock(since))).unwrap_or_default();
    let waiting = known.map(|server| format!(" ({} waiting)", server.events_waiting)).unwrap_or_default();
    format!("Database unreachable{since}; events are being kept{waiting}.")
}

/// Whether waiting helps.
pub(super) const fn passes(error: &AppError) -> bool {
    matches!(error, AppError::DatabaseAway | AppError::Unreachable(_) | AppError::Internal(_))
}

fn try_again(retry: Callback<()>) {
    Effect::new(move |_| {
        let timer = set_interval_with_handle(move || retry.run(()), AGAIN);
        on_cleanup(move || {
            if let Ok(timer) = timer {
                timer.clear();
            }
        });
    });
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    #[test]
    fn the_banner_says_what_is_known() {
        let down = ServerState {
            database_up: false,
            database_down_since: DateTime::from_timestamp(1_795_257_000, 0),
            events_waiting: 12,
            notices: Vec::new(),
        };
        assert_eq!(away(Some(&down)), "Database unreachable since 10:30:00 UTC; events are being kept (12 waiting).");
        assert_eq!(away(None), "Database unreachable; events are being kept.");
    }
}
