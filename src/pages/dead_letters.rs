use leptos::{prelude::*, task::spawn_local};
use taskscope_wire::{Replayed, Role};

use crate::{
    components::{Notice, Tone, format, may},
    server_fns::replay_dead_letters,
};

/// That events couldn't be stored, and what to do: look at them, take them along, send them again.
#[component]
pub fn DeadLetters(
    /// How many.
    #[prop(into)]
    count: Signal<i64>,
    /// Counts them again.
    reload: Callback<()>,
) -> impl IntoView {
    let title = Signal::derive(move || match count.get() {
        1 => "1 event could not be stored".to_owned(),
        more => format!("{} events could not be stored", format::count(more)),
    });
    let busy = RwSignal::new(false);
    let said = RwSignal::new(None::<Result<Replayed, String>>);
    let replay = move |_| {
        busy.set(true);
        spawn_local(async move {
            let answer = replay_dead_letters().await.map_err(|refused| refused.to_string());
            // The page may be gone by now.
            if busy.try_set(false).is_none() {
                said.set(Some(answer));
                reload.run(());
            }
        });
    };
    view! {
        <Show when=move || { count.get() > 0 }>
            <Notice tone=Tone::Wrong title>
                <p data-testid="dead-letters" data-value=move || count.get().to_string()>
                    "The database refused them after they had been accepted. Each is kept with the reason: "
                    <a href="/api/v1/dead-letters" rel="external">"look at them"</a>
                    " or "
                    <a href="/api/v1/dead-letters/export" rel="external" download="dead-letters.ndjson">"take them along"</a>
                    "; after the reason is mended, they can be sent again."
                </p>
                {may(Role::Operator).then(|| {
                    view! {
                        <p class="notice-actions js-only">
                            <button type="button" class="button" disabled=busy on:click=replay>"Send them again"</button>
                        </p>
                    }
                })}
            </Notice>
        </Show>
        // Outside of the notice, which is gone once all are stored.
        <p class="replayed" role="status" data-testid="replayed">{move || said.get().map(outcome)}</p>
    }
}

/// What came of sending them again.
fn outcome(answer: Result<Replayed, String>) -> String {
    match answer {
        Ok(Replayed { accepted, unreadable: 0 }) => format!("Sent again: {}.", format::grouped(accepted as i64)),
        Ok(Replayed { accepted, unreadable }) => format!(
            "Sent again: {}. No event, so that they stay: {}.",
            format::grouped(accepted as i64),
            format::grouped(unreadable as i64)
        ),
        Err(refused) => refused,
    }
}
