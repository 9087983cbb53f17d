use leptos::prelude::*;
use taskscope_wire::{NewToken, Role, Token, TokenKind};

use super::{RoleSelect, TextField, Timestamp};

/// The tokens, each of which can be revoked.
#[component]
pub fn TokenTable(
    /// By name.
    #[prop(into)]
    tokens: Signal<Vec<Token>>,
    /// Whether an answer is on its way.
    #[prop(into)]
    busy: Signal<bool>,
    /// Makes one worthless.
    #[prop(into)]
    revoke: Callback<Token>,
) -> impl IntoView {
    view! {
        <table class="list-table access-table">
            <caption class="visually-hidden">"Tokens, by name"</caption>
            <thead>
                <tr>
                    <th scope="col">"Name"</th>
                    <th scope="col">"Opens"</th>
                    <th scope="col">"Made"</th>
                    <th scope="col">"Last used"</th>
                    <th scope="col">"Ends"</th>
                    <th scope="col"><span class="visually-hidden">"Actions"</span></th>
                </tr>
            </thead>
            <tbody>
                <For each=move || tokens.get() key=|token| (token.id, token.last_used_at) let:token>
                    <Row token busy revoke/>
                </For>
            </tbody>
        </table>
    }
}

#[component]
fn Row(token: Token, busy: Signal<bool>, revoke: Callback<Token>) -> impl IntoView {
    let time = |at: Option<_>, none: &'static str| at.map_or_else(|| none.into_any(), |at| view! { <Timestamp at/> }.into_any());
    let Token { name, created_by, created_at, last_used_at, expires_at, .. } = token.clone();
    view! {
        <tr data-testid="token" data-name=name.clone()>
            <th scope="row">{name.clone()}</th>
            <td data-label="Opens">{opens(&token)}</td>
            <td data-label="Made"><Timestamp at=created_at/> <span class="access-by">{format!("by {created_by}")}</span></td>
            <td data-label="Last used">{time(last_used_at, "never")}</td>
            <td data-label="Ends">{time(expires_at, "never")}</td>
            <td class="access-actions">
                <button
                    type="button"
                    class="button"
                    disabled=busy
                    aria-label=format!("Revoke {name}")
                    on:click=move |_| revoke.run(token.clone())
                >
                    "Revoke…"
                </button>
            </td>
        </tr>
    }
}

fn opens(token: &Token) -> String {
    match (token.kind, token.role, &token.sources[..]) {
        (TokenKind::Api, Some(role), _) => format!("API, as {role}"),
        (TokenKind::Api, None, _) => "nothing".to_owned(),
        (TokenKind::Ingest, _, []) => "reporting, of everything".to_owned(),
        (TokenKind::Ingest, _, sources) => format!("reporting, of {}", sources.join(", ")),
    }
}

/// The form for a new token. It is emptied once the token is made.
#[component]
pub fn TokenForm(
    /// How many were made: what was typed goes with each.
    #[prop(into)]
    made: Signal<u32>,
    /// Whether the answer is on its way.
    #[prop(into)]
    busy: Signal<bool>,
    /// Takes the token.
    #[prop(into)]
    submit: Callback<NewToken>,
) -> impl IntoView {
    let (name, sources) = (RwSignal::new(String::new()), RwSignal::new(String::new()));
    let (kind, role) = (RwSignal::new(TokenKind::Ingest), RwSignal::new(Role::Viewer));
    Effect::new(move |before: Option<u32>| {
        let made = made.get();
        if before.is_some_and(|before| before != made) {
            name.set(String::new());
            sources.set(String::new());
        }
        made
    });
    let read = move || {
        let (kind, role) = (kind.get_untracked(), role.get_untracked());
        let is_api = kind == TokenKind::Api;
        let sources = if is_api { Vec::new() } else { sources.with_untracked(|text| names_in(text)) };
        NewToken { name: name.get_untracked(), kind, role: is_api.then_some(role), sources, expires_at: None }
    };
    let choice = move |value: TokenKind, text: &'static str| {
        view! {
            <label class="choice">
                <input type="radio" name="token-kind" prop:checked=move || kind.get() == value on:change=move |_| kind.set(value)/>
                <span>{text}</span>
            </label>
        }
    };
    view! {
        <form
            class="access-form"
            aria-label="New token"
            on:submit=move |event| {
                event.prevent_default();
                submit.run(read());
            }
        >
            <TextField id="token-name" label="Name" text=name least="1" most="64" placeholder="mail workers"/>
            <fieldset class="choices">
                <legend>"For"</legend>
                <div class="choices-row">{choice(TokenKind::Ingest, "Reporting")} {choice(TokenKind::Api, "The API")}</div>
            </fieldset>
            <Show
                when=move || kind.get() == TokenKind::Api
                fallback=move || {
                    view! {
                        <TextField
                            id="token-sources" label="Task types and workers (empty: all)" text=sources placeholder="mail.*, mailer-*"
                        />
                    }
                }
            >
                <div class="field">
                    <span class="field-name" aria-hidden="true">"Role"</span>
                    <RoleSelect label="Role of the new token".to_owned() role=role.get_untracked() choose=move |chosen| role.set(chosen)/>
                </div>
            </Show>
            <button type="submit" class="button button-primary" disabled=busy>"Make token"</button>
        </form>
    }
}

/// The names in a list with commas.
fn names_in(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}
