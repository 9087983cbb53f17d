//! The settings of the OpenID provider that people log in through.

use anyhow::{Context, bail, ensure};
use clap::Args;
use openidconnect::IssuerUrl;
use reqwest::Url;
use serde::Deserialize;
use taskscope_wire::Role;

use crate::server::access::{EmailRule, OIDC_CALLBACK, OidcConfig, RoleRules};

/// What can be set of it. In `Leptos.toml` it stands in a table `[taskscope.oidc]`, under the end of these names and in lower case.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OidcSettings {
    /// The OpenID provider that people log in through, beside passwords or instead of them: its issuer, such as <https://sso.example.com/realms/main>.
    #[arg(long = "oidc-issuer", env = "TASKSCOPE_OIDC_ISSUER", value_name = "URL")]
    pub issuer: Option<String>,
    /// What the provider knows this server by.
    #[arg(long = "oidc-client-id", env = "TASKSCOPE_OIDC_CLIENT_ID", value_name = "ID")]
    pub client_id: Option<String>,
    /// What this server shows to the provider; a public client has none.
    #[arg(long = "oidc-client-secret", env = "TASKSCOPE_OIDC_CLIENT_SECRET", value_name = "SECRET", hide_env_values = true)]
    pub client_secret: Option<String>,
    /// What the provider is called on the login page [default: the issuer's host].
    #[arg(long = "oidc-name", env = "TASKSCOPE_OIDC_NAME", value_name = "NAME")]
    pub name: Option<String>,
    /// What is asked for beside `openid`, with commas between [default: profile,email].
    #[arg(long = "oidc-scopes", env = "TASKSCOPE_OIDC_SCOPES", value_name = "SCOPES")]
    pub scopes: Option<String>,
    /// The claim that says what somebody may do: a text or a list of texts; of `email`, only a verified one [default: groups].
    #[arg(long = "oidc-role-claim", env = "TASKSCOPE_OIDC_ROLE_CLAIM", value_name = "CLAIM")]
    pub role_claim: Option<String>,
    /// The values of the claim that make an admin, with commas between, each compared whole.
    #[arg(long = "oidc-admins", env = "TASKSCOPE_OIDC_ADMINS", value_name = "VALUES")]
    pub admins: Option<String>,
    /// Those that make an operator.
    #[arg(long = "oidc-operators", env = "TASKSCOPE_OIDC_OPERATORS", value_name = "VALUES")]
    pub operators: Option<String>,
    /// Those that make a viewer.
    #[arg(long = "oidc-viewers", env = "TASKSCOPE_OIDC_VIEWERS", value_name = "VALUES")]
    pub viewers: Option<String>,
    /// The role of those who have none of these values; `none` keeps them out [default: none].
    #[arg(long = "oidc-default-role", env = "TASKSCOPE_OIDC_DEFAULT_ROLE", value_name = "ROLE")]
    pub default_role: Option<String>,
    /// Whose verified e-mail address is let in at all, with commas between: `ann@example.com`, or `@example.com` for a domain [default: everybody's].
    #[arg(long = "oidc-emails", env = "TASKSCOPE_OIDC_EMAILS", value_name = "ADDRESSES")]
    pub emails: Option<String>,
}

/// A text among the settings.
type Field = fn(&OidcSettings) -> &Option<String>;

/// Every setting by its name.
const FIELDS: [(&str, Field); 11] = [
    ("ISSUER", |settings| &settings.issuer),
    ("CLIENT_ID", |settings| &settings.client_id),
    ("CLIENT_SECRET", |settings| &settings.client_secret),
    ("NAME", |settings| &settings.name),
    ("SCOPES", |settings| &settings.scopes),
    ("ROLE_CLAIM", |settings| &settings.role_claim),
    ("ADMINS", |settings| &settings.admins),
    ("OPERATORS", |settings| &settings.operators),
    ("VIEWERS", |settings| &settings.viewers),
    ("DEFAULT_ROLE", |settings| &settings.default_role),
    ("EMAILS", |settings| &settings.emails),
];

/// Checks what is set of the provider; none where nothing is.
///
/// # Errors
/// A sentence that names the setting and what is allowed.
pub(super) fn check(layers: [&OidcSettings; 2], public_url: Option<&Url>) -> anyhow::Result<Option<Box<OidcConfig>>> {
    let given = |field: Field| layers.iter().find_map(|layer| field(layer).clone()).filter(|text| !text.trim().is_empty());
    let Some(issuer) = given(|settings| &settings.issuer) else {
        if let Some((name, _)) = FIELDS.iter().find(|(_, field)| given(*field).is_some()) {
            bail!("TASKSCOPE_OIDC_ISSUER is missing: TASKSCOPE_OIDC_{name} is nothing without it");
        }
        return Ok(None);
    };
    let issuer = checked_issuer(issuer)?;
    let client_id = given(|settings| &settings.client_id)
        .context("TASKSCOPE_OIDC_CLIENT_ID is missing: it is what the OpenID provider knows this server by")?;
    let public_url = public_url.context(
        "TASKSCOPE_PUBLIC_URL is missing: the OpenID provider sends people back there, such as https://tasks.example.com",
    )?;
    let rules = RoleRules {
        claim: given(|settings| &settings.role_claim).map_or_else(|| "groups".to_owned(), |claim| claim.trim().to_owned()),
        admins: list(given(|settings| &settings.admins)),
        operators: list(given(|settings| &settings.operators)),
        viewers: list(given(|settings| &settings.viewers)),
        default_role: default_role(given(|settings| &settings.default_role).as_deref())?,
        emails: emails(given(|settings| &settings.emails))?,
    };
    ensure!(
        !rules.let_nobody_in(),
        "TASKSCOPE_OIDC_ADMINS, TASKSCOPE_OIDC_OPERATORS, TASKSCOPE_OIDC_VIEWERS or TASKSCOPE_OIDC_DEFAULT_ROLE must be set: else the OpenID \
         provider lets nobody in"
    );
    let host = issuer.url().host_str().unwrap_or_default().to_owned();
    Ok(Some(Box::new(OidcConfig {
        name: given(|settings| &settings.name).unwrap_or(host),
        issuer,
        client_id,
        client_secret: given(|settings| &settings.client_secret).map(Into::into),
        scopes: given(|settings| &settings.scopes)
            .map_or_else(|| list(Some("profile,email".to_owned())), |scopes| list(Some(scopes))),
        redirect_url: public_url.join(OIDC_CALLBACK)?,
        rules,
    })))
}

/// What the provider says is believed, and a secret goes there: not over an open network.
fn checked_issuer(text: String) -> anyhow::Result<IssuerUrl> {
    let wrong = format!(
        "TASKSCOPE_OIDC_ISSUER must be the issuer as the provider itself writes it, with https, or with http on this machine, not {text:?}"
    );
    let issuer = IssuerUrl::new(text).with_context(|| wrong.clone())?;
    let url = issuer.url();
    let is_here = match url.host_str() {
        Some(host) => {
            host == "localhost" || host.trim_matches(['[', ']']).parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
        }
        None => false,
    };
    let is_right = url.scheme() == "https" && url.has_host() || url.scheme() == "http" && is_here;
    ensure!(is_right && url.query().is_none() && url.fragment().is_none(), wrong);
    Ok(issuer)
}

fn list(text: Option<String>) -> Vec<String> {
    let text = text.unwrap_or_default();
    text.split(',').map(str::trim).filter(|value| !value.is_empty()).map(str::to_owned).collect()
}

fn default_role(word: Option<&str>) -> anyhow::Result<Option<Role>> {
    match word {
        None | Some("none") => Ok(None),
        Some(word) => match word.parse() {
            Ok(role) => Ok(Some(role)),
            Err(_) => bail!("TASKSCOPE_OIDC_DEFAULT_ROLE must be viewer, operator, admin or none, not {word:?}"),
        },
    }
}

fn emails(text: Option<String>) -> anyhow::Result<Vec<EmailRule>> {
    let is_given = text.is_some();
    let rules = list(text).into_iter().map(|text| {
        EmailRule::parse(&text).with_context(|| {
            format!(
                "TASKSCOPE_OIDC_EMAILS must be addresses such as ann@example.com or domains such as @example.com, not {text:?}"
            )
        })
    });
    let rules = rules.collect::<anyhow::Result<Vec<_>>>()?;
    // Nothing between commas would let everybody in.
    ensure!(!is_given || !rules.is_empty(), "TASKSCOPE_OIDC_EMAILS names nobody: leave it out to let in all that have a role");
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    fn good() -> OidcSettings {
        OidcSettings {
            issuer: some("https://sso.example.com/realms/main"),
            client_id: some("taskscope"),
            admins: some("admins, platform team,"),
            ..OidcSettings::default()
        }
    }

    fn checked(settings: &OidcSettings) -> anyhow::Result<Option<Box<OidcConfig>>> {
        let public_url = Url::parse("https://tasks.example.com").unwrap();
        check([settings, &OidcSettings::default()], Some(&public_url))
    }

    #[test]
    fn what_is_given_is_taken_as_it_is() {
        let config = checked(&good()).unwrap().unwrap();
        assert_eq!(config.issuer.as_str(), "https://sso.example.com/realms/main");
        assert_eq!(
            (config.name.as_str(), config.redirect_url.as_str()),
            ("sso.example.com", "https://tasks.example.com/login/oidc/callback")
        );
        assert_eq!(
            (config.rules.claim.as_str(), config.rules.admins.as_slice()),
            ("groups", ["admins".to_owned(), "platform team".to_owned()].as_slice())
        );
        assert_eq!(config.scopes, ["profile", "email"]);
        assert!(checked(&OidcSettings::default()).unwrap().is_none());
        let file = OidcSettings { name: some("Example"), ..good() };
        let layered = check([&OidcSettings::default(), &file], Some(&Url::parse("https://a.example").unwrap())).unwrap().unwrap();
        assert_eq!(layered.name, "Example");
    }

    #[test]
    fn half_of_the_settings_are_refused_by_their_name() {
        let told = check([&good(), &OidcSettings::default()], None).unwrap_err().to_string();
        assert!(told.contains("TASKSCOPE_PUBLIC_URL"), "{told}");
        for (settings, word) in [
            (OidcSettings { issuer: None, ..good() }, "TASKSCOPE_OIDC_CLIENT_ID"),
            (OidcSettings { issuer: None, ..good() }, "TASKSCOPE_OIDC_ISSUER"),
            (OidcSettings { issuer: some("sso.example.com"), ..good() }, "TASKSCOPE_OIDC_ISSUER"),
            (OidcSettings { issuer: some("http://sso.example.com"), ..good() }, "TASKSCOPE_OIDC_ISSUER"),
            (OidcSettings { issuer: some("http://127.0.0.1.evil.example"), ..good() }, "TASKSCOPE_OIDC_ISSUER"),
            (OidcSettings { issuer: some("https://sso.example.com?a"), ..good() }, "TASKSCOPE_OIDC_ISSUER"),
            (OidcSettings { client_id: some(" "), ..good() }, "TASKSCOPE_OIDC_CLIENT_ID"),
            (OidcSettings { admins: None, ..good() }, "TASKSCOPE_OIDC_ADMINS"),
            (OidcSettings { admins: some(","), ..good() }, "TASKSCOPE_OIDC_ADMINS"),
            (OidcSettings { default_role: some("root"), ..good() }, "TASKSCOPE_OIDC_DEFAULT_ROLE"),
            (OidcSettings { emails: some("example.com"), ..good() }, "TASKSCOPE_OIDC_EMAILS"),
            (OidcSettings { emails: some(","), ..good() }, "TASKSCOPE_OIDC_EMAILS"),
        ] {
            let told = format!("{:#}", checked(&settings).unwrap_err());
            assert!(told.contains(word), "{told}");
        }
        for issuer in ["http://localhost:9000", "http://127.0.0.1:9000/a", "http://[::1]:9000", "https://sso.example.com/"] {
            let config = checked(&OidcSettings { issuer: some(issuer), ..good() }).unwrap().unwrap();
            assert_eq!(config.issuer.as_str(), issuer);
        }
    }
}
