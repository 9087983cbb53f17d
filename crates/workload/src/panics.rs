//! Where a panic was: the standard library tells only its hook.

use std::{any::Any, cell::RefCell, panic::AssertUnwindSafe, sync::Once};

use futures::FutureExt;

use crate::failure::{Failure, TaskResult};

thread_local! {
    /// The place of this thread's last panic.
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs a task body and makes a failure of a panic.
pub(crate) async fn caught<T>(body: impl Future<Output = TaskResult<T>>) -> TaskResult<T> {
    note_places();
    match AssertUnwindSafe(body).catch_unwind().await {
        Ok(outcome) => outcome,
        Err(payload) => {
            let place = LAST.take().unwrap_or_else(|| "an unknown place".to_owned());
            Err(Failure::panic(text_of(payload.as_ref()), place))
        }
    }
}

/// Puts a hook before the one that is there, once a process.
fn note_places() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            LAST.set(info.location().map(ToString::to_string));
            before(info);
        }));
    });
}

fn text_of(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("no message")
}
