//! What a provider says of somebody.

use openidconnect::SubjectIdentifier;
use serde::Serialize;
use serde_json::{Map, Value};

/// The claims that no standard knows: among them is what somebody may do.
#[derive(Debug, Clone, Default, serde::Deserialize, Serialize)]
#[serde(transparent)]
pub(super) struct OtherClaims(Map<String, Value>);

impl openidconnect::AdditionalClaims for OtherClaims {}

/// Somebody whom the provider knows, by claims that were verified.
#[derive(Debug, Clone)]
pub(super) struct Person {
    subject: String,
    claims: Map<String, Value>,
}

impl Person {
    /// The one of whom a token's claims are.
    pub(super) fn new(subject: &SubjectIdentifier, claims: &impl Serialize) -> Self {
        Self { subject: subject.as_str().to_owned(), claims: as_map(claims) }
    }

    /// Adds what else the provider says of the same person. What the token says holds.
    pub(super) fn add(&mut self, claims: &impl Serialize) {
        let mut more = as_map(claims);
        if self.claims.contains_key("email") {
            // It may be said of another address.
            more.remove("email_verified");
        }
        for (name, value) in more {
            self.claims.entry(name).or_insert(value);
        }
    }

    /// Who it is, for ever, to this provider.
    pub(super) fn subject(&self) -> &str {
        &self.subject
    }

    /// What else is said, under its exact name.
    pub(super) fn claim(&self, name: &str) -> Option<&Value> {
        self.claims.get(name)
    }

    /// The e-mail address, if the provider has verified it.
    pub(super) fn email(&self) -> Option<&str> {
        self.claims.get("email")?.as_str().filter(|_| self.claims.get("email_verified") == Some(&Value::Bool(true)))
    }

    /// What people know them by: a verified address, or else a name that holds at this provider only, with which nobody can pass for somebody else.
    pub(super) fn name(&self, host: &str) -> String {
        let clean = |text: &str| text.chars().filter(|character| !character.is_control()).collect::<String>().trim().to_owned();
        if let Some(email) = self.email().map(clean).filter(|email| !email.is_empty()) {
            return email;
        }
        let name = self.claims.get("preferred_username").and_then(Value::as_str).map(clean).filter(|name| !name.is_empty());
        format!("{} ({host})", name.unwrap_or_else(|| clean(&self.subject)))
    }
}

fn as_map(claims: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(claims) {
        Ok(Value::Object(claims)) => claims,
        _ => Map::new(),
    }
}
