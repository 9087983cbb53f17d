//! What is changed of who may come in.

use leptos::prelude::*;
use taskscope_wire::{Account, PasswordChange, Token};

use super::access::{Board, send, typed};
use crate::{
    components::{AccountForm, AccountTable, ConfirmDialog, Notice, TextBlock, TextField, TokenForm, TokenTable, Tone, url},
    server_fns::{change_account, change_password, create_account, create_token, delete_account, revoke_token},
};

/// The accounts.
#[component]
pub fn Accounts(board: Memo<Option<Board>>, reload: Callback<()>) -> impl IntoView {
    let accounts = Memo::new(move |_| board.with(|board| board.as_ref().map(|board| board.accounts.clone())).unwrap_or_default());
    let (busy, error, made) = (RwSignal::new(false), RwSignal::new(None), RwSignal::new(0));
    let doomed = RwSignal::new(None::<Account>);
    let asked = RwSignal::new(false);
    let question = move || {
        doomed
            .with(|doomed| {
                doomed.as_ref().map(|account| format!("{} can't log in any more, and is logged out everywhere.", account.name))
            })
            .unwrap_or_default()
    };
    view! {
        <section class="section" aria-labelledby="accounts-title">
            <h2 id="accounts-title">"Accounts"</h2>
            <Show when=move || accounts.with(|accounts| !accounts.is_empty()) fallback=|| view! { <p class="empty">"There is no account."</p> }>
                <AccountTable
                    accounts
                    busy
                    // What was refused must not stay chosen: the list is fetched whatever comes out.
                    change=move |(id, change)| send(busy, error, async move {
                        let outcome = change_account(id, change).await;
                        reload.run(());
                        outcome
                    }, |()| ())
                    remove=move |account| {
                        doomed.set(Some(account));
                        asked.set(true);
                    }
                />
            </Show>
            <p class="task-form-error" role="alert" data-testid="account-error">{move || error.get()}</p>
            <AccountForm
                made
                busy
                submit=move |new| send(busy, error, create_account(new), move |_| {
                    made.update(|made| *made += 1);
                    reload.run(());
                })
            />
            <ConfirmDialog
                open=asked
                id="remove-account-title"
                title="Remove this account?"
                text=Signal::derive(question)
                yes="Remove"
                no="Keep"
                confirm=move |()| {
                    if let Some(account) = doomed.get_untracked() {
                        send(busy, error, delete_account(account.id), move |()| reload.run(()));
                    }
                }
            />
        </section>
    }
}

/// The tokens. A new one is shown until the page is left.
#[component]
pub fn Tokens(board: Memo<Option<Board>>, reload: Callback<()>) -> impl IntoView {
    let tokens = Memo::new(move |_| board.with(|board| board.as_ref().map(|board| board.tokens.clone())).unwrap_or_default());
    let (busy, error, made) = (RwSignal::new(false), RwSignal::new(None), RwSignal::new(0));
    let secret = RwSignal::new(None::<String>);
    let doomed = RwSignal::new(None::<Token>);
    let asked = RwSignal::new(false);
    let question = move || {
        doomed
            .with(|doomed| doomed.as_ref().map(|token| format!("What shows {} is refused from now on.", token.name)))
            .unwrap_or_default()
    };
    view! {
        <section class="section" aria-labelledby="tokens-title">
            <h2 id="tokens-title">"Tokens"</h2>
            <Show when=move || tokens.with(|tokens| !tokens.is_empty()) fallback=|| view! { <p class="empty">"There is no token with a name."</p> }>
                <TokenTable
                    tokens
                    busy
                    revoke=move |token| {
                        doomed.set(Some(token));
                        asked.set(true);
                    }
                />
            </Show>
            <p class="task-form-error" role="alert" data-testid="token-error">{move || error.get()}</p>
            <Show when=move || secret.with(Option::is_some)>
                <Notice tone=Tone::Calm title="Copy the token now: it is shown this once">
                    <TextBlock label="Token" text=Signal::derive(move || secret.get().unwrap_or_default())/>
                </Notice>
            </Show>
            <TokenForm
                made
                busy
                submit=move |new| send(busy, error, create_token(new), move |created| {
                    secret.set(Some(created.secret.0));
                    made.update(|made| *made += 1);
                    reload.run(());
                })
            />
            <ConfirmDialog
                open=asked
                id="revoke-token-title"
                title="Revoke this token?"
                text=Signal::derive(question)
                yes="Revoke"
                no="Keep"
                confirm=move |()| {
                    if let Some(token) = doomed.get_untracked() {
                        send(busy, error, revoke_token(token.id), move |()| reload.run(()));
                    }
                }
            />
        </section>
    }
}

/// The form for a new password of one's own.
#[component]
pub fn OwnPassword() -> impl IntoView {
    let (current, new) = (RwSignal::new(String::new()), RwSignal::new(String::new()));
    let (busy, error) = (RwSignal::new(false), RwSignal::new(None));
    view! {
        <form
            class="access-form"
            aria-label="Change your password"
            on:submit=move |event| {
                event.prevent_default();
                let change = PasswordChange { current: typed(current), new: typed(new) };
                // All sessions are over then.
                send(busy, error, change_password(change), |()| drop(window().location().assign(url::LOGIN)));
            }
        >
            <TextField
                id="current-password" label="Current password" text=current kind="password" autocomplete="current-password" least="1" most="256"
            />
            <TextField
                id="new-password" label="New password (12 characters or more)" text=new kind="password" autocomplete="new-password"
                least="12" most="256"
            />
            <button type="submit" class="button" disabled=busy>"Change password"</button>
        </form>
        <p class="task-form-error" role="alert" data-testid="password-error">{move || error.get()}</p>
    }
}
