use leptos::prelude::*;
use taskscope_wire::{Account, AccountChange, NewAccount, Role, Secret};
use uuid::Uuid;

use super::{TextField, Timestamp};

/// The accounts, each with what can be changed of it.
#[component]
pub fn AccountTable(
    /// By name.
    #[prop(into)]
    accounts: Signal<Vec<Account>>,
    /// Whether an answer is on its way.
    #[prop(into)]
    busy: Signal<bool>,
    /// Changes one.
    #[prop(into)]
    change: Callback<(Uuid, AccountChange)>,
    /// Removes one.
    #[prop(into)]
    remove: Callback<Account>,
) -> impl IntoView {
    view! {
        <table class="list-table access-table">
            <caption class="visually-hidden">"Accounts, by name"</caption>
            <thead>
                <tr>
                    <th scope="col">"Name"</th>
                    <th scope="col">"Role"</th>
                    <th scope="col">"Made"</th>
                    <th scope="col">"Last login"</th>
                    <th scope="col"><span class="visually-hidden">"Actions"</span></th>
                </tr>
            </thead>
            <tbody>
                <For
                    each=move || accounts.get()
                    key=|account| (account.id, account.role, account.disabled, account.last_login_at)
                    let:account
                >
                    <Row account busy change remove/>
                </For>
            </tbody>
        </table>
    }
}

#[component]
fn Row(
    account: Account,
    busy: Signal<bool>,
    change: Callback<(Uuid, AccountChange)>,
    remove: Callback<Account>,
) -> impl IntoView {
    let Account { id, name, role, disabled, issuer, created_at, last_login_at, .. } = account.clone();
    let label = format!("Role of {name}");
    let turn = if disabled { "Enable" } else { "Disable" };
    view! {
        <tr data-testid="account" data-name=name.clone()>
            <th scope="row">
                {name.clone()}
                {disabled.then(|| view! { <span class="access-flag">"disabled"</span> })}
                {issuer.clone().map(|issuer| view! { <span class="access-flag">"through "{issuer}</span> })}
            </th>
            <td>
                {match issuer {
                    // The provider says it, at each login.
                    Some(_) => role.to_string().into_any(),
                    None => {
                        let choose = move |role| change.run((id, AccountChange { role: Some(role), ..AccountChange::default() }));
                        view! { <RoleSelect label role choose/> }.into_any()
                    }
                }}
            </td>
            <td data-label="Made"><Timestamp at=created_at/></td>
            <td data-label="Last login">{last_login_at.map_or_else(|| "never".into_any(), |at| view! { <Timestamp at/> }.into_any())}</td>
            <td class="access-actions">
                <button
                    type="button"
                    class="button"
                    disabled=busy
                    aria-label=format!("{turn} {name}")
                    on:click=move |_| change.run((id, AccountChange { disabled: Some(!disabled), ..AccountChange::default() }))
                >
                    {turn}
                </button>
                <button
                    type="button"
                    class="button"
                    disabled=busy
                    aria-label=format!("Remove {name}")
                    on:click=move |_| remove.run(account.clone())
                >
                    "Remove…"
                </button>
            </td>
        </tr>
    }
}

/// A choice of roles.
#[component]
pub fn RoleSelect(
    /// What it is for.
    label: String,
    /// The one that holds.
    role: Role,
    /// Takes another one.
    #[prop(into)]
    choose: Callback<Role>,
) -> impl IntoView {
    let options = Role::ALL.map(|variant| {
        let word = <&str>::from(variant);
        view! { <option value=word selected=variant == role>{word}</option> }
    });
    view! {
        <select
            class="access-role"
            aria-label=label
            on:change=move |event| {
                if let Ok(role) = event_target_value(&event).parse() {
                    choose.run(role);
                }
            }
        >
            {options}
        </select>
    }
}

/// The form for a new account. It is emptied once the account is made.
#[component]
pub fn AccountForm(
    /// How many were made: what was typed goes with each.
    #[prop(into)]
    made: Signal<u32>,
    /// Whether the answer is on its way.
    #[prop(into)]
    busy: Signal<bool>,
    /// Takes the account.
    #[prop(into)]
    submit: Callback<NewAccount>,
) -> impl IntoView {
    let (name, password, role) = (RwSignal::new(String::new()), RwSignal::new(String::new()), RwSignal::new(Role::Viewer));
    Effect::new(move |before: Option<u32>| {
        let made = made.get();
        if before.is_some_and(|before| before != made) {
            name.set(String::new());
            password.set(String::new());
        }
        made
    });
    view! {
        <form
            class="access-form"
            aria-label="New account"
            on:submit=move |event| {
                event.prevent_default();
                let password = Some(Secret(password.get_untracked()));
                submit.run(NewAccount { name: name.get_untracked(), role: role.get_untracked(), password });
            }
        >
            <TextField id="account-name" label="Name" text=name least="1" most="64"/>
            <TextField
                id="account-password" label="Password (12 characters or more)" text=password kind="password" autocomplete="new-password"
                least="12" most="256"
            />
            <div class="field">
                <span class="field-name" aria-hidden="true">"Role"</span>
                <RoleSelect label="Role of the new account".to_owned() role=Role::Viewer choose=move |chosen| role.set(chosen)/>
            </div>
            <button type="submit" class="button button-primary" disabled=busy>"Add account"</button>
        </form>
    }
}
