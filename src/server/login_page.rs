//! The login page. It is drawn by the server alone: nobody who isn't let in needs the program.

use leptos::{config::LeptosOptions, prelude::*};
use leptos_meta::{MetaTags, provide_meta_context};

use crate::app::{DocumentHead, Wordmark};

/// What the page says, and what it begins with.
#[derive(Debug, Clone, Default)]
pub(super) struct LoginPage {
    /// Where the login leads.
    pub(super) next: String,
    /// The name that was typed.
    pub(super) name: String,
    /// Why the last try failed.
    pub(super) said: Option<Said>,
    /// Whether a name and a password are asked for.
    pub(super) passwords: bool,
    /// What the OpenID provider is called, if people log in through one.
    pub(super) provider: Option<String>,
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
    /// Nobody has a password here.
    NoPasswords,
    /// The login was not begun in this browser, or too long ago, or it has counted.
    NotBegun,
    /// The OpenID provider gives no answer that is understood.
    ProviderAway,
    /// It lets them not in; in its word.
    ProviderRefuses(String),
    /// What it says is not as it must be; the log says why, under this id.
    NotBelieved(String),
    /// It knows them by this name, and nothing here lets them in.
    NotLetIn(String),
    /// The account of this name is disabled.
    Disabled(String),
}

impl Said {
    /// In words; `provider` is what the OpenID provider is called.
    fn sentence(&self, provider: &str) -> String {
        match self {
            Self::Wrong => "The name or the password is wrong.".to_owned(),
            Self::TooMany(seconds) => format!("Too many tries. Come again in {seconds} seconds."),
            Self::DatabaseAway => {
                "The database is not reachable, so nobody can log in now. Who is logged in still is.".to_owned()
            }
            Self::Failed(request) => format!("The server could not answer. Its log says why, under request {request}."),
            Self::NoPasswords => format!("Nobody logs in with a password here. Log in with {provider}."),
            Self::NotBegun => {
                "This login was not begun in this browser, or more than ten minutes ago, or it was used already. Begin again."
                    .to_owned()
            }
            Self::ProviderAway => {
                format!("{provider} gives no answer, so nobody can log in with it now. Who is logged in still is.")
            }
            Self::ProviderRefuses(word) => format!("{provider} has not let you in: {word}."),
            Self::NotBelieved(request) => {
                format!("What {provider} says could not be verified. The server's log says why, under request {request}.")
            }
            Self::NotLetIn(name) => {
                format!("{provider} knows you as {name}, but nobody has let you in here. Ask those who run this server.")
            }
            Self::Disabled(name) => format!("The account {name} is disabled here. Ask those who run this server."),
        }
    }
}

impl LoginPage {
    /// The whole page.
    pub(super) fn shell(self, options: LeptosOptions) -> impl IntoView {
        provide_meta_context();
        let Self { next, name, said, passwords, provider } = self;
        let failed = said.is_some();
        let said = said.map(|said| said.sentence(provider.as_deref().unwrap_or("The OpenID provider")));
        let query: String = form_urlencoded::Serializer::new(String::new()).append_pair("next", &next).finish();
        let through = format!("/login/oidc?{query}");
        view! {
            <!DOCTYPE html>
            <html lang="en">
                <head>
                    <DocumentHead options/>
                    <meta name="robots" content="noindex"/>
                    <title>"Log in · Taskscope"</title>
                    <MetaTags/>
                </head>
                <body>
                    <main class="login">
                        <form class="panel login-form" method="post" action="/login">
                            <p class="wordmark">
                                <Wordmark/>
                            </p>
                            <h1>"Log in"</h1>
                            {said.map(|said| view! { <p class="task-form-error" id="login-error" role="alert">{said}</p> })}
                            {passwords.then(|| view! { <PasswordFields name next failed/> })}
                            {provider.map(|provider| view! {
                                <a class="button" class:button-primary=!passwords href=through>{format!("Log in with {provider}")}</a>
                            })}
                        </form>
                    </main>
                </body>
            </html>
        }
    }
}

/// The fields of a login with a password, and the button.
#[component]
fn PasswordFields(name: String, next: String, failed: bool) -> impl IntoView {
    let knows_name = !name.is_empty();
    view! {
        <div class="field">
            <label for="login-name">"Name"</label>
            <input
                id="login-name" type="text" name="name" value=name autocomplete="username" autocapitalize="none" spellcheck="false"
                required maxlength="64" autofocus=!knows_name
            />
        </div>
        <div class="field">
            <label for="login-password">"Password"</label>
            <input
                id="login-password" type="password" name="password" autocomplete="current-password" required maxlength="256"
                autofocus=knows_name aria-describedby=failed.then_some("login-error")
            />
        </div>
        <input type="hidden" name="next" value=next/>
        <button type="submit" class="button button-primary">"Log in"</button>
    }
}
