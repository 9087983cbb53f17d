//! Who may come in: accounts, tokens, and the log of what they did.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr};
use uuid::Uuid;

/// What somebody may do. Each role may do what those before it may.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Display, EnumString, IntoStaticStr,
)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Role {
    /// Looks.
    Viewer,
    /// Runs tasks, reviews, and sends dead letters again.
    Operator,
    /// Sets everything up, accounts and tokens too.
    Admin,
}

impl Role {
    /// All of them, from the one that may least.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];
}

/// What a token opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Display, EnumString, IntoStaticStr)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum TokenKind {
    /// Reports events and heartbeats, and nothing else.
    Ingest,
    /// What its role may, but for reporting.
    Api,
}

/// A text that no log may show.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Somebody who may log in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Account {
    /// Its id.
    pub id: Uuid,
    /// What it is called; capitals make no difference.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Whether it may not log in now.
    pub disabled: bool,
    /// Whether it logs in with a password, or otherwise through another service.
    pub has_password: bool,
    /// The OpenID provider that it logs in through, and that says its role; none for one of this server's own.
    #[serde(default)]
    pub issuer: Option<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last logged in.
    pub last_login_at: Option<DateTime<Utc>>,
}

/// An account to make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewAccount {
    /// 1 to 64 characters.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// 12 to 256 characters; none for one that comes through another service only.
    #[serde(default)]
    pub password: Option<Secret>,
}

impl NewAccount {
    /// What is made, without the password.
    #[must_use]
    pub fn in_words(&self) -> String {
        format!("{} as {}", self.name, self.role)
    }
}

/// What to change of an account; what is left out stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct AccountChange {
    /// What it may do.
    pub role: Option<Role>,
    /// Whether it may not log in.
    pub disabled: Option<bool>,
    /// A new password, 12 to 256 characters; it ends all sessions of the account.
    pub password: Option<Secret>,
}

impl AccountChange {
    /// What is changed, without the password.
    #[must_use]
    pub fn in_words(&self) -> String {
        let role = self.role.map(|role| format!("role {role}"));
        let disabled = self.disabled.map(|disabled| if disabled { "disabled" } else { "enabled" }.to_owned());
        let password = self.password.as_ref().map(|_| "new password".to_owned());
        [role, disabled, password].into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

/// A new password of one's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PasswordChange {
    /// The one that holds now.
    pub current: Secret,
    /// The new one, 12 to 256 characters.
    pub new: Secret,
}

/// A token, without what makes it one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Token {
    /// Its id.
    pub id: Uuid,
    /// What it is for.
    pub name: String,
    /// What it opens.
    pub kind: TokenKind,
    /// What it may do, if it is for the API.
    pub role: Option<Role>,
    /// The task types and workers that it may report of, `*` at the end standing for any rest; all where none is named.
    pub sources: Vec<String>,
    /// Who made it.
    pub created_by: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// From when on it opens nothing.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<DateTime<Utc>>,
}

/// A token to make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// What it is for, 1 to 64 characters.
    pub name: String,
    /// What it opens.
    pub kind: TokenKind,
    /// What it may do: needed for the API, and only there.
    #[serde(default)]
    pub role: Option<Role>,
    /// The task types and workers that it may report of, `*` at the end standing for any rest; all where none is named. For reporting only.
    #[serde(default)]
    pub sources: Vec<String>,
    /// From when on it opens nothing.
    #[serde(default)]
    pub expires_at: Option<DateTime<Utc>>,
}

impl NewToken {
    /// What is made.
    #[must_use]
    pub fn in_words(&self) -> String {
        format!("{} for {}", self.name, self.kind)
    }
}

/// A token that was just made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreatedToken {
    /// The token, which is shown this once.
    pub secret: Secret,
    /// What is known of it.
    #[serde(flatten)]
    pub token: Token,
}

/// Something that somebody did, or tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditEntry {
    /// Its number.
    pub id: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// Who: the name of an account or token; empty for somebody unknown.
    pub actor: String,
    /// How they came in: `session`, `token`, `proxy`, `open` where no login is asked for, or `nobody`.
    pub via: String,
    /// Where they called from.
    pub address: Option<String>,
    /// What: method and route.
    pub action: String,
    /// On what: the path, and what the action itself adds.
    pub target: String,
    /// The HTTP status of the answer.
    pub status: i16,
    /// The number of the request, which stands in its answer and in the log.
    pub request_id: Option<String>,
}

/// Which entries of the audit log to list, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(default, deny_unknown_fields)]
pub struct AuditQuery {
    /// Of this actor only.
    pub actor: Option<String>,
    /// The page, from 1.
    #[cfg_attr(feature = "openapi", param(minimum = 1, maximum = 1000000000))]
    pub page: i64,
    /// Entries a page, 1 to 50.
    #[cfg_attr(feature = "openapi", param(minimum = 1, maximum = 50))]
    pub page_size: i64,
}

impl Default for AuditQuery {
    fn default() -> Self {
        Self { actor: None, page: 1, page_size: 50 }
    }
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Me {
    /// The name of the account or token; none where no login is asked for.
    pub name: Option<String>,
    /// What they may do.
    pub role: Role,
    /// Whether they came by a login of this server, so that they can log out.
    pub session: bool,
    /// Whether they logged in with a password, which they may change.
    #[serde(default)]
    pub password: bool,
}

impl Me {
    /// Whether they may do what a role may.
    #[must_use]
    pub fn may(&self, role: Role) -> bool {
        self.role >= role
    }
}
