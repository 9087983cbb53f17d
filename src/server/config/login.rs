//! The settings of who is let in.

use std::net::SocketAddr;

use anyhow::{Context, bail, ensure};
use ipnet::IpNet;
use reqwest::Url;
use secrecy::SecretString;
use taskscope_wire::Role;

use super::{Field, OidcSettings, oidc};
use crate::server::access::{Login, TrustedProxy, Ways};

/// Characters of the shortest token that guards a server which others can reach.
const SHORTEST_TOKEN: usize = 16;

/// Who is let in, checked.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) login: Login,
    pub(super) public_url: Option<Url>,
    pub(super) ingest_token: Option<SecretString>,
}

/// Checks what is set of it. `settings` gives one, wherever it stands; `provider` is the OpenID provider's in the same layers.
///
/// # Errors
/// A sentence that names the setting and what is allowed.
pub(super) fn check(
    addr: SocketAddr,
    settings: impl Fn(Field) -> Option<String>,
    provider: [&OidcSettings; 2],
) -> anyhow::Result<Checked> {
    let public_url = settings(|settings| &settings.public_url).map(|url| public_url(&url)).transpose()?;
    let oidc = oidc::check(provider, public_url.as_ref())?;
    let login = match (settings(|settings| &settings.login).as_deref(), oidc) {
        (Some("accounts"), oidc) => Login::Accounts(Ways { passwords: true, oidc }),
        (Some("oidc"), Some(oidc)) => Login::Accounts(Ways { passwords: false, oidc: Some(oidc) }),
        (Some("oidc"), None) => bail!("TASKSCOPE_OIDC_ISSUER is missing: TASKSCOPE_LOGIN is oidc"),
        (None | Some("none" | "proxy"), Some(_)) => {
            bail!(
                "TASKSCOPE_LOGIN must be accounts or oidc where TASKSCOPE_OIDC_ISSUER is set: nobody would log in through it otherwise"
            )
        }
        (None | Some("none"), None) => Login::Open,
        (Some("proxy"), None) => Login::Proxy(trusted_proxy(&settings)?),
        (Some(other), _) => bail!("TASKSCOPE_LOGIN must be none, accounts, oidc or proxy, not {other:?}"),
    };
    if login.is_open() && !addr.ip().is_loopback() {
        bail!(
            "TASKSCOPE_ADDR {addr} can be reached from other machines: set TASKSCOPE_LOGIN to accounts, oidc or proxy, or use a loopback address such as \
             127.0.0.1:3000"
        );
    }
    let given = settings(|settings| &settings.ingest_token);
    if let Some(token) = given.as_deref().filter(|_| !login.is_open()) {
        let length = token.chars().count();
        ensure!(
            length >= SHORTEST_TOKEN,
            "TASKSCOPE_INGEST_TOKEN must be {SHORTEST_TOKEN} characters or more where a login is asked for, not {length}; or leave it out and \
             make tokens with names"
        );
    }
    let ingest_token = match given {
        Some(token) => Some(token.into()),
        None if login.is_open() => None,
        // The server's own worker reports too, and nobody else needs to know by what.
        None => Some(taskscope_workload::new_secret_key().into()),
    };
    Ok(Checked { login, public_url, ingest_token })
}

fn public_url(text: &str) -> anyhow::Result<Url> {
    let wrong = || format!("TASKSCOPE_PUBLIC_URL must be as people type it, such as https://tasks.example.com, not {text:?}");
    let url = Url::parse(text).with_context(wrong)?;
    let is_right = matches!(url.scheme(), "http" | "https") && url.has_host() && url.path() == "/" && url.query().is_none();
    ensure!(is_right, wrong());
    Ok(url)
}

/// Names of hosts from a list, in lower case.
///
/// # Errors
/// A sentence that says which is none.
pub(super) fn host_names(list: &str) -> anyhow::Result<Vec<String>> {
    let names = list.split(',').map(|name| name.trim().to_ascii_lowercase()).filter(|name| !name.is_empty());
    names
        .map(|name| {
            let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
            ensure!(
                is_name,
                "TASKSCOPE_HOST_NAMES must be names such as tasks.example.com, without scheme, port or *, not {name:?}"
            );
            Ok(name)
        })
        .collect()
}

fn trusted_proxy(settings: &impl Fn(Field) -> Option<String>) -> anyhow::Result<TrustedProxy> {
    let addresses = settings(|settings| &settings.proxy_addresses).unwrap_or_else(|| "127.0.0.0/8,::1/128".to_owned());
    let header = |name: &str, text: String| {
        let header = text.trim().to_ascii_lowercase();
        axum::http::HeaderName::from_bytes(header.as_bytes())
            .with_context(|| format!("{name} must be the name of a header, not {text:?}"))?;
        anyhow::Ok(header)
    };
    let name_header = settings(|settings| &settings.proxy_name_header).unwrap_or_else(|| "x-forwarded-user".to_owned());
    let role_header = settings(|settings| &settings.proxy_role_header);
    let default_role = match settings(|settings| &settings.proxy_default_role).as_deref() {
        None => Some(Role::Viewer),
        Some("none") => None,
        Some(word) => Some(word.parse().map_err(|_| {
            anyhow::anyhow!("TASKSCOPE_PROXY_DEFAULT_ROLE must be viewer, operator, admin or none, not {word:?}")
        })?),
    };
    Ok(TrustedProxy {
        addresses: addresses.split(',').map(|text| network(text.trim())).collect::<anyhow::Result<_>>()?,
        name_header: header("TASKSCOPE_PROXY_NAME_HEADER", name_header)?,
        role_header: role_header.map(|text| header("TASKSCOPE_PROXY_ROLE_HEADER", text)).transpose()?,
        default_role,
    })
}

fn network(text: &str) -> anyhow::Result<IpNet> {
    let address = || text.parse::<std::net::IpAddr>().map(IpNet::from);
    text.parse().or_else(|_| address()).with_context(|| {
        format!("TASKSCOPE_PROXY_ADDRESSES must be addresses or networks such as 10.0.0.7 or 10.0.0.0/24, with commas between, not {text:?}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::config::Settings;

    fn checked(settings: &Settings, addr: &str) -> anyhow::Result<Checked> {
        let given = |field: Field| field(settings).clone().filter(|text| !text.is_empty());
        check(addr.parse().unwrap(), given, [&settings.oidc, &OidcSettings::default()])
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn others_are_let_in_only_where_a_login_is_asked_for() {
        let told = checked(&Settings::default(), "0.0.0.0:3000").unwrap_err().to_string();
        assert!(told.contains("TASKSCOPE_LOGIN"), "{told}");
        let open = checked(&Settings::default(), "127.0.0.1:3000").unwrap();
        assert!(open.login.is_open() && open.ingest_token.is_none());
        let accounts = Settings { login: some("accounts"), ..Settings::default() };
        let guarded = checked(&accounts, "0.0.0.0:3000").unwrap();
        assert!(guarded.login.ways().is_some() && guarded.ingest_token.is_some(), "nobody reports without a token");
    }

    #[test]
    fn an_openid_provider_stands_beside_passwords_or_instead_of_them() {
        let provider = |login: &str| Settings {
            login: some(login),
            public_url: some("https://tasks.example.com"),
            oidc: OidcSettings {
                issuer: some("https://sso.example.com"),
                client_id: some("taskscope"),
                default_role: some("viewer"),
                ..OidcSettings::default()
            },
            ..Settings::default()
        };
        for (login, passwords) in [("accounts", true), ("oidc", false)] {
            let checked = checked(&provider(login), "0.0.0.0:3000").unwrap();
            let ways = checked.login.ways().unwrap();
            assert!(ways.passwords == passwords && ways.oidc.is_some(), "{login}");
        }
        for login in ["", "none", "proxy"] {
            let told = checked(&provider(login), "127.0.0.1:3000").unwrap_err().to_string();
            assert!(told.contains("TASKSCOPE_LOGIN"), "{login}: {told}");
        }
        let none = Settings { oidc: OidcSettings::default(), ..provider("oidc") };
        let told = checked(&none, "127.0.0.1:3000").unwrap_err().to_string();
        assert!(told.contains("TASKSCOPE_OIDC_ISSUER"), "{told}");
    }

    #[test]
    fn wrong_settings_are_sentences() {
        let accounts = || Settings { login: some("accounts"), ..Settings::default() };
        let proxy = || Settings { login: some("proxy"), ..Settings::default() };
        assert!(matches!(checked(&proxy(), "10.0.0.1:1").unwrap().login, Login::Proxy(_)));
        for (settings, word) in [
            (Settings { login: some("yes"), ..Settings::default() }, "TASKSCOPE_LOGIN"),
            (Settings { ingest_token: some("short"), ..accounts() }, "TASKSCOPE_INGEST_TOKEN"),
            (Settings { public_url: some("tasks.example.com"), ..accounts() }, "TASKSCOPE_PUBLIC_URL"),
            (Settings { public_url: some("https://tasks.example.com/a"), ..accounts() }, "TASKSCOPE_PUBLIC_URL"),
            (Settings { proxy_addresses: some("10.0.0.0/33"), ..proxy() }, "TASKSCOPE_PROXY_ADDRESSES"),
            (Settings { proxy_name_header: some("a b"), ..proxy() }, "TASKSCOPE_PROXY_NAME_HEADER"),
            (Settings { proxy_role_header: some("a:b"), ..proxy() }, "TASKSCOPE_PROXY_ROLE_HEADER"),
            (Settings { proxy_default_role: some("root"), ..proxy() }, "TASKSCOPE_PROXY_DEFAULT_ROLE"),
        ] {
            let told = format!("{:#}", checked(&settings, "127.0.0.1:1").unwrap_err());
            assert!(told.contains(word), "{told}");
        }
    }
}
