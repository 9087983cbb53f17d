use leptos::{
    ev,
    prelude::*,
    wasm_bindgen::JsCast,
    web_sys::{Element, KeyboardEvent},
};
use taskscope_wire::Review;

use super::analysis_reviewing::Reviewing;

/// What a key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    Step(isize),
    Decide(Review),
    Help,
}

/// Lets keys do what the buttons of the review do, while it is open.
pub(super) fn follow_keys(reviewing: Reviewing, open: Memo<bool>) {
    Effect::new(move |_| {
        let open = open.get();
        let listener = window_event_listener(ev::keydown, move |event| {
            let Some(command) = command_of(&event) else { return };
            match command {
                Command::Step(places) => reviewing.step(places),
                Command::Decide(review) if open && !event.repeat() => reviewing.decide(review),
                Command::Decide(_) => return,
                Command::Help => reviewing.helping.set(true),
            }
            event.prevent_default();
        });
        on_cleanup(move || listener.remove());
    });
}

/// What a key means where it was pressed: nothing where something is typed, or a dialog stands before the page.
fn command_of(event: &KeyboardEvent) -> Option<Command> {
    let target = event.target().and_then(|target| target.dyn_into::<Element>().ok());
    let inside = |selector: &str| target.as_ref().is_some_and(|target| target.closest(selector).ok().flatten().is_some());
    let modified = event.ctrl_key() || event.meta_key() || event.alt_key();
    // Focus need not be in a dialog that stands before the page.
    let asked = document().query_selector("dialog:modal").ok().flatten().is_some();
    if event.default_prevented() || modified || asked || inside("input, textarea, select, dialog, [contenteditable]") {
        return None;
    }
    command_for(&event.key(), inside(".proposal-list"))
}

/// Arrows scroll what they are pressed in, but in the list they move.
fn command_for(key: &str, in_list: bool) -> Option<Command> {
    Some(match key {
        "j" | "J" => Command::Step(1),
        "k" | "K" => Command::Step(-1),
        "ArrowDown" if in_list => Command::Step(1),
        "ArrowUp" if in_list => Command::Step(-1),
        "a" | "A" => Command::Decide(Review::Approve),
        "r" | "R" => Command::Decide(Review::Reject),
        "m" | "M" => Command::Decide(Review::Merge),
        "u" | "U" => Command::Decide(Review::Undo),
        "?" => Command::Help,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrows_move_only_in_the_list() {
        assert_eq!(command_for("ArrowDown", true), Some(Command::Step(1)));
        assert_eq!(command_for("ArrowDown", false), None);
        assert_eq!(command_for("k", false), Some(Command::Step(-1)));
        assert_eq!(command_for("a", false), Some(Command::Decide(Review::Approve)));
        assert_eq!(command_for("Enter", true), None);
    }
}
