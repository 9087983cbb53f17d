//! Whom of those that a provider knows is let in, and as what. Values are compared whole: no pattern, no beginning, no other capitals.

use serde_json::Value;
use taskscope_wire::Role;

use super::claims::Person;

/// Who is let in, and as what.
#[derive(Debug, Clone, Default)]
pub struct RoleRules {
    /// The claim whose values are looked for, a text or a list of texts.
    pub claim: String,
    /// The values that make an admin.
    pub admins: Vec<String>,
    /// The values that make an operator.
    pub operators: Vec<String>,
    /// The values that make a viewer.
    pub viewers: Vec<String>,
    /// The role of those who have none of them; none keeps them out.
    pub default_role: Option<Role>,
    /// The verified e-mail addresses that are let in at all; all, and those without one, where none is named.
    pub emails: Vec<EmailRule>,
}

/// Which e-mail addresses are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EmailRule {
    /// One.
    Address(String),
    /// All of a domain, but not of those below it.
    Domain(String),
}

impl EmailRule {
    /// Reads `ann@example.com` or `@example.com`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (local, domain) = text.rsplit_once('@')?;
        let is_domain =
            domain.contains('.') && !domain.contains(char::is_whitespace) && !domain.starts_with('.') && !domain.ends_with('.');
        match local {
            _ if !is_domain || local.contains(['@', ' ']) => None,
            "" => Some(Self::Domain(domain.to_owned())),
            _ => Some(Self::Address(text.to_owned())),
        }
    }

    fn holds(&self, email: &str) -> bool {
        let Some((local, domain)) = email.rsplit_once('@') else { return false };
        match self {
            Self::Domain(wanted) => domain.eq_ignore_ascii_case(wanted),
            // Capitals make no difference in a domain; before it, they may.
            Self::Address(wanted) => wanted
                .rsplit_once('@')
                .is_some_and(|(wanted_local, wanted)| local == wanted_local && domain.eq_ignore_ascii_case(wanted)),
        }
    }
}

impl RoleRules {
    /// Whether nobody could ever come in.
    #[must_use]
    pub fn let_nobody_in(&self) -> bool {
        self.default_role.is_none() && [&self.admins, &self.operators, &self.viewers].iter().all(|values| values.is_empty())
    }

    /// What a claim that isn't there would be needed for.
    pub(super) fn miss(&self, person: &Person) -> bool {
        person.claim(&self.claim).is_none() || (!self.emails.is_empty() && person.claim("email").is_none())
    }

    /// The highest role that somebody has.
    ///
    /// # Errors
    /// What is missing.
    pub(super) fn role_of(&self, person: &Person) -> Result<Role, &'static str> {
        if !self.emails.is_empty() {
            let email = person.email().ok_or("no verified e-mail address")?;
            if !self.emails.iter().any(|rule| rule.holds(email)) {
                return Err("the e-mail address is not among those that are let in");
            }
        }
        let has = |values: &[String]| self.values(person).iter().any(|value| values.iter().any(|wanted| wanted == value));
        let named = [(Role::Admin, &self.admins), (Role::Operator, &self.operators), (Role::Viewer, &self.viewers)];
        let role = named.into_iter().find(|(_, values)| has(values)).map(|(role, _)| role);
        role.or(self.default_role).ok_or("no value of the role claim is among those that are let in")
    }

    fn values<'a>(&self, person: &'a Person) -> Vec<&'a str> {
        if self.claim == "email" {
            return person.email().into_iter().collect();
        }
        match person.claim(&self.claim) {
            Some(Value::String(value)) => vec![value],
            Some(Value::Array(values)) => values.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use openidconnect::SubjectIdentifier;
    use serde_json::json;

    use super::*;

    fn person(claims: &Value) -> Person {
        Person::new(&SubjectIdentifier::new("s".to_owned()), claims)
    }

    fn rules() -> RoleRules {
        let values = |value: &str| vec![value.to_owned()];
        RoleRules {
            claim: "groups".to_owned(),
            admins: values("admins"),
            operators: values("ops"),
            viewers: values("staff"),
            ..RoleRules::default()
        }
    }

    #[test]
    fn values_are_compared_whole() {
        for (groups, role) in [
            (json!(["admins"]), Some(Role::Admin)),
            (json!("admins"), Some(Role::Admin)),
            (json!(["staff", "ops"]), Some(Role::Operator)),
            (json!(["staff", 7, null]), Some(Role::Viewer)),
            (json!(["ADMINS"]), None),
            (json!(["admins.evil"]), None),
            (json!(["admin"]), None),
            (json!(["x-admins"]), None),
            (json!([" admins"]), None),
            (json!("x,admins"), None),
            (json!("staff admins"), None),
            (json!([["admins"]]), None),
            (json!({ "admins": true }), None),
            (json!(true), None),
            (json!([]), None),
        ] {
            assert_eq!(rules().role_of(&person(&json!({ "groups": groups }))).ok(), role, "{groups}");
        }
        assert!(rules().role_of(&person(&json!({ "group": ["admins"], "Groups": ["admins"] }))).is_err());
        let lenient = RoleRules { default_role: Some(Role::Viewer), ..rules() };
        assert_eq!(lenient.role_of(&person(&json!({ "groups": ["ADMINS"] }))), Ok(Role::Viewer));
    }

    #[test]
    fn only_verified_addresses_count_and_only_whole_ones() {
        let rules = RoleRules {
            default_role: Some(Role::Viewer),
            emails: ["ann@example.com", "@corp.example"].iter().map(|text| EmailRule::parse(text).unwrap()).collect(),
            ..rules()
        };
        for (email, is_let_in) in [
            ("ann@example.com", true),
            ("ann@EXAMPLE.com", true),
            ("bob@corp.example", true),
            ("Ann@example.com", false),
            ("bob@example.com", false),
            ("ann@example.com.evil.com", false),
            ("xann@example.com", false),
            ("bob@corp.example.evil.com", false),
            ("bob@sub.corp.example", false),
            ("bob@xcorp.example", false),
            ("bob@corp.example@evil.com", false),
            ("corp.example", false),
            ("", false),
        ] {
            let verified = person(&json!({ "email": email, "email_verified": true }));
            assert_eq!(rules.role_of(&verified).is_ok(), is_let_in, "{email}");
            for unverified in [json!(false), json!("true"), json!(null), json!(1)] {
                let claims = json!({ "email": email, "email_verified": unverified, "groups": ["admins"] });
                assert!(rules.role_of(&person(&claims)).is_err(), "{claims}");
            }
        }
        for wrong in ["", "@", "ann", "ann@", "@example", "a@b@example.com", "@.example.com", "@example.com."] {
            assert_eq!(EmailRule::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_address_makes_a_role_once_it_is_verified() {
        let rules = RoleRules { claim: "email".to_owned(), admins: vec!["ann@example.com".to_owned()], ..RoleRules::default() };
        let ann = |verified: bool| person(&json!({ "email": "ann@example.com", "email_verified": verified }));
        assert_eq!((rules.role_of(&ann(true)).ok(), rules.role_of(&ann(false)).ok()), (Some(Role::Admin), None));
        let mut added = person(&json!({ "email": "ann@example.com" }));
        added.add(&json!({ "email": "mallory@example.com", "email_verified": true }));
        assert!(rules.role_of(&added).is_err(), "what is verified is another address");
        let mut found = person(&json!({}));
        found.add(&json!({ "email": "ann@example.com", "email_verified": true }));
        assert_eq!(rules.role_of(&found), Ok(Role::Admin));
    }

    #[test]
    fn nobody_passes_for_somebody_else_by_a_name() {
        let name = |claims: &Value| person(claims).name("sso.example.com");
        assert_eq!(name(&json!({ "email": "ann@example.com", "email_verified": true })), "ann@example.com");
        assert_eq!(name(&json!({ "email": "ann@example.com", "preferred_username": "adm\nin" })), "admin (sso.example.com)");
        assert_eq!(name(&json!({ "preferred_username": " " })), "s (sso.example.com)");
    }
}
