//! What admins set up, and everybody's own password.

use chrono::Utc;
use secrecy::{ExposeSecret, SecretString};
use taskscope_wire::{
    Account, AccountChange, AuditEntry, AuditQuery, CreatedToken, NewAccount, NewToken, Page, PasswordChange, Role, Secret,
    Token, TokenKind, check_page,
};
use uuid::Uuid;

use super::{
    Caller, Gate, Via, password,
    secret::{digest, new_secret},
};
use crate::server::store::{Changed, StoreError};

/// Characters of a name.
const LONGEST_NAME: usize = 64;
/// Characters of a password. No other rules: length is what counts (NIST SP 800-63B).
const PASSWORD: std::ops::RangeInclusive<usize> = 12..=256;
/// Sources of a token, and characters of each.
const MOST_SOURCES: usize = 100;
const LONGEST_SOURCE: usize = 255;

/// Why something was not set up. Nothing of it was done then.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// A field is wrong: the sentence names it and says what is allowed.
    #[error("{0}")]
    Invalid(String),
    /// There is no such thing.
    #[error("there is no {0}")]
    NotFound(String),
    /// It can't be done as things are.
    #[error("{0}")]
    Conflict(&'static str),
    /// The database doesn't answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The server failed.
    #[error("{0:#}")]
    Failed(#[from] anyhow::Error),
}

impl Gate {
    /// The accounts, by name.
    ///
    /// # Errors
    /// The database doesn't answer.
    pub async fn accounts(&self) -> Result<Vec<Account>, AccessError> {
        Ok(self.0.store.accounts().await?)
    }

    /// Makes an account, and gives its id.
    ///
    /// # Errors
    /// A field is wrong, the name is taken, or the database doesn't answer.
    pub async fn create_account(&self, new: NewAccount) -> Result<Uuid, AccessError> {
        check_name("name", &new.name)?;
        let hash = hash(new.password).await?;
        match self.0.store.insert_account(&new.name, new.role, hash.as_deref()).await? {
            Changed::Done(id) => {
                self.refresh().await;
                Ok(id)
            }
            _ => Err(AccessError::Conflict("name: another account has it")),
        }
    }

    /// Changes what is given.
    ///
    /// # Errors
    /// A field is wrong, there is no such account, no admin would be left, or the database doesn't answer.
    pub async fn change_account(&self, id: Uuid, change: AccountChange) -> Result<(), AccessError> {
        let hash = hash(change.password).await?;
        let changed = self.0.store.change_account(id, change.role, change.disabled, hash.as_deref()).await?;
        self.done(changed).await
    }

    /// Removes an account and its sessions.
    ///
    /// # Errors
    /// There is no such account, no admin would be left, or the database doesn't answer.
    pub async fn delete_account(&self, id: Uuid) -> Result<(), AccessError> {
        let changed = self.0.store.delete_account(id).await?;
        self.done(changed).await
    }

    async fn done(&self, changed: Changed<()>) -> Result<(), AccessError> {
        match changed {
            Changed::Done(()) => {
                self.refresh().await;
                Ok(())
            }
            Changed::LastAdmin => Err(AccessError::Conflict("no admin would be left: make another account one first")),
            Changed::OfProvider => {
                Err(AccessError::Conflict("the OpenID provider says its role and how it logs in: here it can only be disabled"))
            }
            Changed::Unknown | Changed::NameTaken => Err(AccessError::NotFound("such account".to_owned())),
        }
    }

    /// Changes one's own password. All sessions of the account end, this one too.
    ///
    /// # Errors
    /// Who asks has no password, the current one is wrong, the new one isn't allowed, or the database doesn't answer.
    pub async fn change_password(&self, caller: &Caller, change: PasswordChange) -> Result<(), AccessError> {
        let Via::Session { account, password: true, .. } = caller.via else {
            return Err(AccessError::Conflict("only who has logged in with a password can change it"));
        };
        let known = self.0.known.borrow().account(account).and_then(|stored| stored.password_hash.clone());
        if !password::is_right(change.current.0, known).await {
            return Err(AccessError::Invalid("current: this is not the password".to_owned()));
        }
        self.change_account(account, AccountChange { password: Some(change.new), ..AccountChange::default() }).await
    }

    /// The tokens, by name.
    ///
    /// # Errors
    /// The database doesn't answer.
    pub async fn tokens(&self) -> Result<Vec<Token>, AccessError> {
        Ok(self.0.store.tokens().await?)
    }

    /// Makes a token.
    ///
    /// # Errors
    /// A field is wrong, or the database doesn't answer.
    pub async fn create_token(&self, caller: &Caller, new: NewToken) -> Result<CreatedToken, AccessError> {
        check_token(&new)?;
        let prefix = match new.kind {
            TokenKind::Ingest => "tsi_",
            TokenKind::Api => "tsa_",
        };
        let secret = new_secret(prefix).map_err(anyhow::Error::from)?;
        let creator = caller.name.as_deref().unwrap_or("(no login)");
        let token = self.0.store.insert_token(&new, creator, &digest(&secret)).await?;
        self.refresh().await;
        Ok(CreatedToken { secret: Secret(secret), token })
    }

    /// Makes a token worthless, at once.
    ///
    /// # Errors
    /// There is no such token, or the database doesn't answer.
    pub async fn revoke_token(&self, id: Uuid) -> Result<(), AccessError> {
        if !self.0.store.delete_token(id).await? {
            return Err(AccessError::NotFound("such token".to_owned()));
        }
        self.refresh().await;
        Ok(())
    }

    /// A page of the audit log, newest first.
    ///
    /// # Errors
    /// A parameter is wrong, or the database doesn't answer.
    pub async fn audit(&self, query: &AuditQuery) -> Result<Page<AuditEntry>, AccessError> {
        check_page(query.page, query.page_size).map_err(AccessError::Invalid)?;
        Ok(self.0.store.audit_page(query).await?)
    }

    /// Makes the first admin where nobody could set anything up, and says what to do where it has no password.
    ///
    /// # Errors
    /// The password isn't allowed, or the database doesn't answer.
    pub async fn make_first_admin(&self, password: Option<&SecretString>) -> Result<(), AccessError> {
        // One of a provider can't log in without it.
        if self.accounts().await?.iter().any(|account| account.role == Role::Admin && account.issuer.is_none()) {
            return Ok(());
        }
        let Some(password) = password else {
            tracing::warn!("nobody can log in yet: make an account with `taskscope account add NAME --role admin`");
            return Ok(());
        };
        let admin = NewAccount {
            name: "admin".to_owned(),
            role: Role::Admin,
            password: Some(Secret(password.expose_secret().to_owned())),
        };
        match self.create_account(admin).await {
            // Another server on the same database was first.
            Err(AccessError::Conflict(_)) => Ok(()),
            made => made.map(|_| tracing::info!("the account `admin` was made, with the configured password")),
        }
    }
}

async fn hash(password: Option<Secret>) -> Result<Option<String>, AccessError> {
    let Some(Secret(password)) = password else { return Ok(None) };
    let length = password.chars().count();
    if !PASSWORD.contains(&length) {
        let (shortest, longest) = (PASSWORD.start(), PASSWORD.end());
        return Err(AccessError::Invalid(format!("password must be {shortest} to {longest} characters long, not {length}")));
    }
    Ok(Some(password::hash(password).await?))
}

fn check_name(field: &str, name: &str) -> Result<(), AccessError> {
    let wrong = name.trim() != name || name.chars().any(char::is_control);
    if name.is_empty() || name.chars().count() > LONGEST_NAME || wrong {
        let sentence = format!("{field} must be 1 to {LONGEST_NAME} characters, without spaces around it, not {name:?}");
        return Err(AccessError::Invalid(sentence));
    }
    Ok(())
}

fn check_token(new: &NewToken) -> Result<(), AccessError> {
    check_name("name", &new.name)?;
    let invalid = |sentence: &str| Err(AccessError::Invalid(sentence.to_owned()));
    match (new.kind, new.role) {
        (TokenKind::Api, None) => return invalid("role must be given for an api token: viewer, operator or admin"),
        (TokenKind::Ingest, Some(_)) => return invalid("role must be left out of an ingest token, which can only report"),
        _ => {}
    }
    if new.kind == TokenKind::Api && !new.sources.is_empty() {
        return invalid("sources must be left out of an api token, which can't report");
    }
    let is_right = |source: &String| {
        !source.is_empty()
            && source.chars().count() <= LONGEST_SOURCE
            && !source.strip_suffix('*').unwrap_or(source).contains('*')
    };
    if new.sources.len() > MOST_SOURCES || !new.sources.iter().all(is_right) {
        return Err(AccessError::Invalid(format!(
            "sources must be at most {MOST_SOURCES} names of 1 to {LONGEST_SOURCE} characters, with `*` at the end only"
        )));
    }
    if new.expires_at.is_some_and(|end| end <= Utc::now()) {
        return invalid("expires_at must be in the future");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_tokens_are_told_by_their_field() {
        let good = NewToken {
            name: "a".to_owned(),
            kind: TokenKind::Ingest,
            role: None,
            sources: vec!["a*".to_owned()],
            expires_at: None,
        };
        assert!(check_token(&good).is_ok());
        let api = NewToken { kind: TokenKind::Api, role: Some(Role::Viewer), sources: Vec::new(), ..good.clone() };
        assert!(check_token(&api).is_ok());
        for (wrong, field) in [
            (NewToken { name: String::new(), ..good.clone() }, "name"),
            (NewToken { name: " a".to_owned(), ..good.clone() }, "name"),
            (NewToken { name: "a\nb".to_owned(), ..good.clone() }, "name"),
            (NewToken { role: Some(Role::Admin), ..good.clone() }, "role"),
            (NewToken { role: None, ..api.clone() }, "role"),
            (NewToken { sources: vec!["a*b".to_owned()], ..good.clone() }, "sources"),
            (NewToken { sources: vec![String::new()], ..good.clone() }, "sources"),
            (NewToken { sources: vec!["a".to_owned()], ..api }, "sources"),
            (NewToken { expires_at: Some(Utc::now()), ..good }, "expires_at"),
        ] {
            let told = check_token(&wrong).unwrap_err().to_string();
            assert!(told.starts_with(field), "{told}");
        }
    }
}
