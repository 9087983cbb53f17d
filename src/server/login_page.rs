//! The login page. It is drawn by the server alone: nobody who isn't let in needs the program.

use leptos::{config::LeptosOptions, nonce::use_nonce, prelude::*};
use leptos_meta::{HashedStylesheet, MetaTags, provide_meta_context};

use crate::components::THEME_SCRIPT;

/// What the page says, and what it begins with.
#[derive(Debug, Clone, Default)]
pub(super) struct LoginPage {
    /// Where the login leads.
    pub(super) next: String,
    /// The name that was typed.
    pub(super) name: String,
    /// Why the last try failed.
    pub(super) said: Option<Said>,
}

/// Why somebody could not log in.
#[derive(Debug, Clone)]
pub(super) enum Said {
    /// No account of that name has that password.
    Wrong,
    /// Too many tries; seconds to wait.
    TooMany(u64),
    /// The database doesn't answer.
    DatabaseAway,
    /// The server failed; the log says why, under this id.
    Failed(String),
}

impl Said {
    fn sentence(&self) -> String {
        match self {
            Self::Wrong => "The name or the password is wrong.".to_owned(),
            Self::TooMany(seconds) => format!("Too many tries. Come again in {seconds} seconds."),
            Self::DatabaseAway => {
                "The database is not reachable, so nobody can log in now. Who is logged in still is.".to_owned()
            }
            Self::Failed(request) => format!("The server could not answer. Its log says why, under request {request}."),
        }
    }
}

impl LoginPage {
    /// The whole page.
    pub(super) fn shell(self, options: LeptosOptions) -> impl IntoView {
        provide_meta_context();
        let Self { next, name, said } = self;
        let failed = said.is_some();
        view! {
            <!DOCTYPE html>
            <html lang="en">
                <head>
                    <meta charset="utf-8"/>
                    <meta name="viewport" content="width=device-width, initial-scale=1"/>
                    <meta name="color-scheme" content="light dark"/>
                    <meta name="robots" content="noindex"/>
                    <title>"Log in · Taskscope"</title>
                    <script nonce=use_nonce()>{THEME_SCRIPT}</script>
                    <HashedStylesheet options=options id="leptos"/>
                    <link rel="icon" href="/favicon.ico" sizes="32x32"/>
                    <link rel="icon" href="/favicon.svg" type="image/svg+xml"/>
                    <MetaTags/>
                </head>
                <body>
                    <main class="login">
                        <form class="panel login-form" method="post" action="/login">
                            <p class="wordmark">
                                <svg viewBox="0 0 20 20" width="20" height="20" aria-hidden="true" focusable="false">
                                    <path d="M3 14.5v-4M8 14.5v-9M13 14.5v-6M18 14.5v-2"></path>
                                </svg>
                                <span>"Taskscope"</span>
                            </p>
                            <h1>"Log in"</h1>
                            {said.map(|said| view! { <p class="task-form-error" id="login-error" role="alert">{said.sentence()}</p> })}
                            <div class="field">
                                <label for="login-name">"Name"</label>
                                <input
                                    id="login-name" type="text" name="name" value=name autocomplete="username" autocapitalize="none" spellcheck="false"
                                    required maxlength="64" autofocus=!failed
                                />
                            </div>
                            <div class="field">
                                <label for="login-password">"Password"</label>
                                <input
                                    id="login-password" type="password" name="password" autocomplete="current-password" required maxlength="256"
                                    autofocus=failed aria-describedby=failed.then_some("login-error")
                                />
                            </div>
                            <input type="hidden" name="next" value=next/>
                            <button type="submit" class="button button-primary">"Log in"</button>
                        </form>
                    </main>
                </body>
            </html>
        }
    }
}
