use leptos::{html, prelude::*};

/// A question before something that can't be taken back.
#[component]
pub fn ConfirmDialog(
    /// Whether it is asked; closing sets it back.
    open: RwSignal<bool>,
    /// The id of its title.
    id: &'static str,
    /// The question.
    title: &'static str,
    /// What follows from it.
    #[prop(into)]
    text: Signal<String>,
    /// What the button says that goes on.
    yes: &'static str,
    /// What the button says that doesn't.
    no: &'static str,
    /// Goes on.
    #[prop(into)]
    confirm: Callback<()>,
) -> impl IntoView {
    let dialog = NodeRef::<html::Dialog>::new();
    show_modally(dialog, open.into());
    view! {
        <dialog class="dialog dialog-small" aria-labelledby=id node_ref=dialog on:close=move |_| open.set(false)>
            <h2 id=id>{title}</h2>
            <p class="dialog-text">{move || text.get()}</p>
            <div class="task-form-buttons">
                <button type="button" class="button" on:click=move |_| open.set(false)>{no}</button>
                <button
                    type="button"
                    class="button button-primary"
                    on:click=move |_| {
                        open.set(false);
                        confirm.run(());
                    }
                >
                    {yes}
                </button>
            </div>
        </dialog>
    }
}

/// Opens and closes a dialog. It is modal only where the browser's own method opened it.
pub fn show_modally(dialog: NodeRef<html::Dialog>, open: Signal<bool>) {
    Effect::new(move |_| {
        let open = open.get();
        if let Some(dialog) = dialog.get() {
            match open {
                true if !dialog.open() => drop(dialog.show_modal()),
                false if dialog.open() => dialog.close(),
                _ => {}
            }
        }
    });
}
