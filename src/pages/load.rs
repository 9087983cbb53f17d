//! How pages draw what they load.
//!
//! A `Suspend` that runs again disposes the signals of what it drew while that is still on the page, so that an event
//! coming meanwhile would meet signals that are gone. So a page draws once, from signals that outlive every load, and each
//! load only sets these signals. That also keeps focus, scroll position and the reader's place.

use leptos::{prelude::*, reactive::computed::ScopedFuture};

use crate::error::AppError;

/// Gives `take` what the resource loads: for the first paint, on both sides, when the returned future is awaited, and in the
/// browser whenever it is something else.
pub(super) fn follow<T, F>(resource: Resource<T>, take: F) -> impl Future<Output = ()> + Send
where
    T: Clone + PartialEq + Send + Sync + 'static,
    F: Fn(T) + Clone + Send + Sync + 'static,
{
    let taken = StoredValue::new(None::<T>);
    let take = move |value: T| {
        if taken.with_value(|taken| taken.as_ref() != Some(&value)) {
            taken.set_value(Some(value.clone()));
            take(value);
        }
    };
    Effect::new({
        let take = take.clone();
        move |_| {
            if let Some(value) = resource.get() {
                take(value);
            }
        }
    });
    async move { take(resource.await) }
}

/// A view that is drawn when its data is there, and not again.
pub(super) fn draw_once<V: 'static>(view: impl Future<Output = V> + Send + 'static) -> Suspend<V> {
    Suspend::new(ScopedFuture::new_untracked(view))
}

/// Says that there is no problem any more. Where there was none, nothing happens: what reads the signal draws the page, and would draw it anew.
pub(super) fn clear(problem: RwSignal<Option<AppError>>) {
    if problem.with_untracked(Option::is_some) {
        problem.set(None);
    }
}
