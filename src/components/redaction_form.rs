use leptos::prelude::*;
use taskscope_wire::{RedactionDefaults, RedactionRules, Role};

use super::may;

/// Rules while they are typed: a list each, one rule a line.
#[derive(Debug, Clone, Copy)]
pub struct TypedRules {
    keys: RwSignal<String>,
    patterns: RwSignal<String>,
    exceptions: RwSignal<String>,
}

impl TypedRules {
    /// Begins without any.
    #[must_use]
    pub fn new() -> Self {
        Self { keys: RwSignal::default(), patterns: RwSignal::default(), exceptions: RwSignal::default() }
    }

    /// Begins with these.
    pub fn set(self, rules: &RedactionRules) {
        self.keys.set(rules.keys.join("\n"));
        self.patterns.set(rules.patterns.join("\n"));
        self.exceptions.set(rules.exceptions.join("\n"));
    }

    /// What they mean.
    #[must_use]
    pub fn get(self) -> RedactionRules {
        let lines = |text: RwSignal<String>| lines(&text.read());
        RedactionRules { keys: lines(self.keys), patterns: lines(self.patterns), exceptions: lines(self.exceptions) }
    }
}

impl Default for TypedRules {
    fn default() -> Self {
        Self::new()
    }
}

/// The rules of a text: its lines but for empty ones. What surrounds a rule is no part of it.
fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// The form for the rules that people add, which admins try before they save them and others read.
#[component]
pub fn RedactionForm(
    /// The rules.
    typed: TypedRules,
    /// What is wrong with them, or with saving them.
    #[prop(into)]
    error: Signal<Option<String>>,
    /// Whether an answer is on its way.
    #[prop(into)]
    busy: Signal<bool>,
    /// Whether what is typed was tried and differs from what is saved.
    #[prop(into)]
    can_save: Signal<bool>,
    /// Tries the rules.
    #[prop(into)]
    preview: Callback<()>,
    /// Saves them.
    #[prop(into)]
    save: Callback<()>,
) -> impl IntoView {
    view! {
        <form
            class="task-form redaction-form"
            on:submit=move |event| {
                event.prevent_default();
                preview.run(());
            }
        >
            <RuleField
                id="redaction-keys"
                label="Keys"
                hint="Names whose whole value goes, also where they are a part of a name: customer_number holds for oldCustomerNumber."
                text=typed.keys
            />
            <RuleField
                id="redaction-patterns"
                label="Patterns"
                hint="Regular expressions. What they match goes; with a group in brackets only what the first one matches."
                text=typed.patterns
            />
            <RuleField
                id="redaction-exceptions"
                label="Exceptions"
                hint="Whole names whose value stays, although a key says otherwise. Patterns hold in it all the same."
                text=typed.exceptions
            />
            <p class="task-form-error" role="alert" data-testid="redaction-error">{move || error.get()}</p>
            {may(Role::Admin).then(|| {
                view! {
                    <div class="task-form-buttons">
                        <button type="submit" class="button" disabled=move || busy.get()>
                            {move || if busy.get() { "Looking…" } else { "Preview" }}
                        </button>
                        <button
                            type="button"
                            class="button button-primary"
                            aria-describedby="redaction-order"
                            disabled=move || busy.get() || !can_save.get()
                            on:click=move |_| save.run(())
                        >
                            "Save"
                        </button>
                    </div>
                    <p id="redaction-order" class="field-hint redaction-order">"Rules are saved after a preview of them."</p>
                }
            })}
        </form>
    }
}

#[component]
fn RuleField(id: &'static str, label: &'static str, hint: &'static str, text: RwSignal<String>) -> impl IntoView {
    let hint_id = format!("{id}-hint");
    view! {
        <div class="field">
            <label for=id>{label} <span class="field-optional">" (one a line)"</span></label>
            <textarea
                id=id
                rows="4"
                spellcheck="false"
                autocomplete="off"
                readonly=!may(Role::Admin)
                aria-describedby=hint_id.clone()
                prop:value=text
                on:input=move |event| text.set(event_target_value(&event))
            >
                {text.get_untracked()}
            </textarea>
            <p id=hint_id class="field-hint">{hint}</p>
        </div>
    }
}

/// What is redacted always.
#[component]
pub fn AlwaysRedacted(
    /// The keys and the kinds of secrets.
    defaults: RedactionDefaults,
) -> impl IntoView {
    let list = |items: Vec<String>| {
        let items = items.into_iter().map(|item| view! { <li>{item}</li> }).collect_view();
        view! { <ul class="redaction-list">{items}</ul> }
    };
    view! {
        <div class="redaction-defaults" data-testid="redaction-defaults">
            <h3>"Values of these names"</h3>
            {list(defaults.keys)}
            <h3>"These, wherever they stand in a text"</h3>
            {list(defaults.patterns)}
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_rule() {
        let owner = Owner::new();
        owner.set();
        let rules = RedactionRules {
            keys: vec!["customer_number".to_owned(), "pin".to_owned()],
            patterns: vec![r"K-\d{4}".to_owned()],
            exceptions: Vec::new(),
        };
        let typed = TypedRules::new();
        typed.set(&rules);
        assert_eq!(typed.get(), rules);
        typed.keys.set("  customer_number \r\n\n pin\n".to_owned());
        assert_eq!(typed.get(), rules);
    }
}
