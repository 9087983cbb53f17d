use leptos::{prelude::*, task::spawn_local};
use leptos_meta::Title;
use leptos_router::{LazyRoute, hooks::use_url, lazy_route};
use serde::{Deserialize, Serialize};
use taskscope_wire::{Account, AuditEntry, AuditQuery, InvalidQuery, Me, Page, Role, Secret, Token};

use super::{
    DatabaseBanner, Problem, TITLE,
    access_forms::{Accounts, OwnPassword, Tokens},
    current::page_of,
    load::{clear, draw_once, follow},
    problem::passes,
};
use crate::{
    components::{AuditTable, Notice, PageLinks, RowSkeletons, Tone, url},
    error::AppError,
    live::use_live,
    server_fns::{get_accounts, get_audit, get_me, get_tokens},
};

/// Who may come in, and what they did.
pub struct AccessPage;

/// What an admin sees.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Board {
    pub(super) accounts: Vec<Account>,
    pub(super) tokens: Vec<Token>,
    audit: Page<AuditEntry>,
}

/// What everybody sees, and what an admin does.
type Shown = (Me, Option<Board>);

#[lazy_route]
impl LazyRoute for AccessPage {
    fn data() -> Self {
        Self
    }

    fn view(_page: Self) -> AnyView {
        view! { <AccessView/> }.into_any()
    }
}

async fn load(page: Result<i64, InvalidQuery>) -> Result<Shown, AppError> {
    let page = page?;
    let me = get_me().await?;
    if !me.may(Role::Admin) {
        return Ok((me, None));
    }
    let audit = get_audit(AuditQuery { page, ..AuditQuery::default() }).await?;
    Ok((me, Some(Board { accounts: get_accounts().await?, tokens: get_tokens().await?, audit })))
}

#[component]
fn AccessView() -> impl IntoView {
    let address = use_url();
    let page = Memo::new(move |_| address.with(|address| page_of(address.search())));
    let resource = Resource::new(move || page.get(), load);
    use_live().connect();
    let shown = RwSignal::new(None::<Shown>);
    let problem = RwSignal::new(None::<AppError>);
    let loaded = follow(resource, move |loaded| match loaded {
        Ok(loaded) => {
            clear(problem);
            shown.set(Some(loaded));
        }
        // What is shown stays where newer can't be had.
        Err(error) if passes(&error) && shown.with_untracked(Option::is_some) => {}
        Err(error) => problem.set(Some(error)),
    });
    let reload = Callback::new(move |()| resource.refetch());
    view! {
        <Title text=format!("Access · {TITLE}")/>
        <div class="page">
            <div class="page-head">
                <h1>"Access"</h1>
            </div>
            <Transition fallback=RowSkeletons>
                {draw_once(async move {
                    loaded.await;
                    move || match problem.get() {
                        Some(error) => {
                            view! { <Problem error retry=reload clear=(url::ACCESS, "Show the first page")/> }.into_any()
                        }
                        None => view! { <Parts shown reload/> }.into_any(),
                    }
                })}
            </Transition>
        </div>
    }
}

#[component]
fn Parts(shown: RwSignal<Option<Shown>>, reload: Callback<()>) -> impl IntoView {
    let me = Memo::new(move |_| shown.with(|shown| shown.as_ref().map(|(me, _)| me.clone())));
    let is_admin = Memo::new(move |_| shown.with(|shown| matches!(shown, Some((_, Some(_))))));
    let board = move |shown: &Option<Shown>| shown.as_ref().and_then(|(_, board)| board.clone());
    let board = Memo::new(move |_| shown.with(board));
    let audit = Memo::new(move |_| board.with(|board| board.as_ref().map(|board| board.audit.clone())));
    let entries = Memo::new(move |_| audit.with(|audit| audit.as_ref().map(|page| page.items.clone())).unwrap_or_default());
    view! {
        <DatabaseBanner/>
        {move || me.get().map(|me| view! { <Own me/> })}
        <Show when=move || is_admin.get()>
            <Accounts board reload/>
            <Tokens board reload/>
            <section class="section" aria-labelledby="audit-title">
                <h2 id="audit-title">"Audit log"</h2>
                <Show
                    when=move || entries.with(|entries| !entries.is_empty())
                    fallback=|| view! { <p class="empty">"Nothing was done yet."</p> }
                >
                    <AuditTable entries/>
                </Show>
                {move || {
                    let (page, total_pages) = audit.with(|audit| audit.as_ref().map(|audit| (audit.page, audit.total_pages))).unwrap_or((1, 1));
                    view! { <PageLinks page total_pages href=url::access/> }
                }}
            </section>
        </Show>
    }
}

/// Who the reader is.
#[component]
fn Own(me: Me) -> impl IntoView {
    let Some(name) = me.name else {
        return view! {
            <Notice tone=Tone::Calm title="No login is asked for">
                <p>
                    "Everybody who reaches this server may do everything; it listens to this machine only. Set "
                    <code>"TASKSCOPE_LOGIN=accounts"</code> " to ask for one, " <code>"TASKSCOPE_LOGIN=oidc"</code>
                    " for an OpenID provider, or " <code>"TASKSCOPE_LOGIN=proxy"</code> " behind a proxy that people log in to."
                </p>
            </Notice>
        }
        .into_any();
    };
    let password = me.password;
    view! {
        <section class="section" aria-labelledby="own-title">
            <h2 id="own-title">"You"</h2>
            <p class="access-own">"You are " <strong>{name}</strong> ", in the role " <strong>{me.role.to_string()}</strong> "."</p>
            {password.then(|| view! { <OwnPassword/> })}
        </section>
    }
    .into_any()
}

/// Sends something, and says what came out.
pub(super) fn send<T: 'static>(
    busy: RwSignal<bool>,
    error: RwSignal<Option<String>>,
    work: impl Future<Output = Result<T, AppError>> + 'static,
    done: impl FnOnce(T) + 'static,
) {
    if busy.get_untracked() {
        return;
    }
    busy.set(true);
    error.set(None);
    spawn_local(async move {
        match work.await {
            Ok(value) => done(value),
            Err(refused) => error.set(Some(refused.to_string())),
        }
        busy.set(false);
    });
}

/// A secret that was typed.
pub(super) fn typed(text: RwSignal<String>) -> Secret {
    Secret(text.get_untracked())
}
