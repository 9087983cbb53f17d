use leptos::prelude::*;

/// A line of text to type, with its label.
#[component]
pub fn TextField(
    /// The id of the input.
    id: &'static str,
    /// What it is for.
    label: &'static str,
    /// What is typed.
    text: RwSignal<String>,
    /// The type of the input: a text, or a password, which isn't shown.
    #[prop(default = "text")]
    kind: &'static str,
    /// What a browser may fill in, of HTML's `autocomplete`.
    #[prop(default = "off")]
    autocomplete: &'static str,
    /// Characters that it takes at least; with none given it may be empty.
    #[prop(optional)]
    least: Option<&'static str>,
    /// Characters that it takes at most.
    #[prop(optional)]
    most: Option<&'static str>,
    /// An example.
    #[prop(optional)]
    placeholder: Option<&'static str>,
) -> impl IntoView {
    view! {
        <div class="field">
            <label for=id>{label}</label>
            <input
                id=id
                type=kind
                required=least.is_some()
                minlength=least
                maxlength=most
                autocomplete=autocomplete
                autocapitalize="none"
                spellcheck="false"
                placeholder=placeholder
                prop:value=text
                on:input=move |event| text.set(event_target_value(&event))
            />
        </div>
    }
}
