//! The page's shell, its header and the route table.

use leptos::{nonce::use_nonce, prelude::*};
use leptos_meta::{HashedStylesheet, Meta, MetaTags, provide_meta_context};
use leptos_router::{
    Lazy, SsrMode,
    components::{A, Redirect, Route, Router, Routes},
    path,
};
use taskscope_wire::Me;

use crate::{
    components::{ConnectionStatus, THEME_SCRIPT, ThemeSwitch, reader_role, url},
    live::{Connection, provide_live, use_live},
    pages::{
        AccessPage, AnalysisPage, ExecutionPage, History, KnowledgePage, NotFound, Overview, ProposalPage, RedactionPage,
        RunPage, TITLE, TaskTypePage, TasksPage, TopicPage, WorkersPage,
    },
    server_fns::get_me,
};

/// The HTML around the app.
pub fn shell(options: LeptosOptions) -> impl IntoView {
    view! {
        <!DOCTYPE html>
        <html lang="en" data-role=reader_role().to_string()>
            <head>
                <DocumentHead options=options.clone()/>
                <AutoReload options=options.clone()/>
                <HydrationScripts options/>
                <MetaTags/>
            </head>
            <body>
                <App/>
            </body>
        </html>
    }
}

/// What every document begins with. The theme is set before anything is painted.
#[component]
pub(crate) fn DocumentHead(options: LeptosOptions) -> impl IntoView {
    view! {
        <meta charset="utf-8"/>
        <meta name="viewport" content="width=device-width, initial-scale=1"/>
        <meta name="color-scheme" content="light dark"/>
        <script nonce=use_nonce()>{THEME_SCRIPT}</script>
        <HashedStylesheet options id="leptos"/>
        <link rel="icon" href="/favicon.ico" sizes="32x32"/>
        <link rel="icon" href="/favicon.svg" type="image/svg+xml"/>
    }
}

/// The name of the product, with its mark.
#[component]
pub(crate) fn Wordmark() -> impl IntoView {
    view! {
        <svg viewBox="0 0 20 20" width="20" height="20" aria-hidden="true" focusable="false">
            <path d="M3 14.5v-4M8 14.5v-9M13 14.5v-6M18 14.5v-2"></path>
        </svg>
        <span>"Taskscope"</span>
    }
}

/// The app: what is on every page, and the routes. Routes but the Overview are loaded when they are visited.
#[component]
pub fn App() -> impl IntoView {
    provide_meta_context();
    provide_live();
    view! {
        <Meta name="description" content="Live status, history and failures of background tasks."/>
        <Router>
            <a class="skip-link" href="#main" rel="external">"Skip to content"</a>
            <Header/>
            <main id="main" tabindex="-1">
                <p class="no-js notice-line">"Live updates need JavaScript. Reload for newer numbers."</p>
                <Routes fallback=NotFound>
                    <Route path=path!("/") view=|| view! { <Redirect path=url::OVERVIEW/> } ssr=SsrMode::Async/>
                    <Route path=path!("/monitoring") view=Overview ssr=SsrMode::Async/>
                    <Route path=path!("/monitoring/history") view={Lazy::<History>::new()} ssr=SsrMode::Async/>
                    <Route path=path!("/monitoring/workers") view={Lazy::<WorkersPage>::new()} ssr=SsrMode::Async/>
                    <Route path=path!("/monitoring/redaction") view={Lazy::<RedactionPage>::new()} ssr=SsrMode::Async/>
                    <Route path=path!("/monitoring/tasks") view={Lazy::<TasksPage>::new()} ssr=SsrMode::Async/>
                    <Route path=path!("/monitoring/tasks/:name") view={Lazy::<TaskTypePage>::new()} ssr=SsrMode::Async/>
                    <Route path=path!("/monitoring/executions/:id") view={Lazy::<ExecutionPage>::new()} ssr=SsrMode::Async/>
                    <Route path=path!("/monitoring/analysis") view={Lazy::<AnalysisPage>::new()} ssr=SsrMode::Async/>
                    <Route path=path!("/monitoring/analysis/:id") view={Lazy::<RunPage>::new()} ssr=SsrMode::Async/>
                    <Route path=path!("/monitoring/proposals/:id") view={Lazy::<ProposalPage>::new()} ssr=SsrMode::Async/>
                    <Route path=path!("/monitoring/knowledge") view={Lazy::<KnowledgePage>::new()} ssr=SsrMode::Async/>
                    <Route path=path!("/monitoring/access") view={Lazy::<AccessPage>::new()} ssr=SsrMode::Async/>
                    <Route path=path!("/monitoring/knowledge/:id") view={Lazy::<TopicPage>::new()} ssr=SsrMode::Async/>
                </Routes>
            </main>
        </Router>
    }
}

#[component]
fn Header() -> impl IntoView {
    let connection = use_live().connection();
    let connected = Signal::derive(move || match connection.get() {
        Connection::Connecting => None,
        Connection::Connected => Some(true),
        Connection::Disconnected { .. } => Some(false),
    });
    let retry_in = Signal::derive(move || match connection.get() {
        Connection::Disconnected { retry_in } => Some(retry_in),
        Connection::Connecting | Connection::Connected => None,
    });
    let me = Resource::new(|| (), |()| get_me());
    view! {
        <header class="header">
            <a class="wordmark" href=url::OVERVIEW aria-label=format!("Taskscope, {TITLE}")>
                <Wordmark/>
            </a>
            <nav class="tabs" aria-label="Main">
                <A href=url::OVERVIEW exact=true>"Overview"</A>
                <A href=url::HISTORY>"Task History"</A>
                <A href=url::WORKERS>"Workers"</A>
                <A href=url::TASKS>"Tasks"</A>
                <A href=url::ANALYSIS>"Analysis"</A>
                <A href=url::KNOWLEDGE>"Knowledge"</A>
                <A href=url::ACCESS>"Access"</A>
                <a href="/api/docs" rel="external">"API"</a>
            </nav>
            <div class="header-end">
                <Transition fallback=|| ()>
                    {Suspend::new(async move { me.await.ok().map(|me| view! { <Account me/> }) })}
                </Transition>
                <ConnectionStatus connected retry_in/>
                <ThemeSwitch/>
            </div>
        </header>
    }
}

/// Who the reader is, and the way out. Nothing where no login is asked for.
#[component]
fn Account(me: Me) -> impl IntoView {
    let Me { name, session, .. } = me;
    name.map(|name| {
        view! {
            <div class="account">
                <a href=url::ACCESS>{name}</a>
                {session.then(|| view! {
                    <form method="post" action=url::LOGOUT>
                        <button type="submit" class="button">"Log out"</button>
                    </form>
                })}
            </div>
        }
    })
}
