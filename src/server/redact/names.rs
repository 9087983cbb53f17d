//! Which names say that their value is secret.

mod known;

use std::collections::BTreeSet;

use self::known::{ABOUT, DEFAULTS, NO_SECRETS, Within};
use super::InvalidRule;

/// From how many letters on an added key is looked for inside of longer words too.
const LONG: usize = 6;

/// Which names are secret.
#[derive(Debug)]
pub(super) struct Names {
    keys: Vec<Key>,
    exceptions: BTreeSet<String>,
}

#[derive(Debug)]
struct Key {
    /// As it is shown.
    label: String,
    words: Vec<String>,
    /// The words without anything between.
    joined: String,
    within: Within,
    trigger: String,
    is_default: bool,
}

impl Names {
    /// The defaults, more keys, and names that are no secrets whatever a key says.
    pub(super) fn new(keys: &[String], exceptions: &[String]) -> Result<Self, InvalidRule> {
        let mut all: Vec<Key> = DEFAULTS.iter().map(|(label, within, trigger)| Key::known(label, *within, trigger)).collect();
        for key in keys {
            all.push(Key::added(key)?);
        }
        let mut excepted: BTreeSet<String> = NO_SECRETS.iter().map(|&name| name.to_owned()).collect();
        for exception in exceptions {
            excepted.insert(some_words("exceptions", exception)?.join("_"));
        }
        Ok(Self { keys: all, exceptions: excepted })
    }

    /// The keys that hold always.
    pub(super) fn defaults() -> Vec<String> {
        DEFAULTS.iter().map(|(label, ..)| (*label).to_owned()).collect()
    }

    /// What any secret name has in one piece, in lower case.
    pub(super) fn triggers(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| key.trigger.as_str())
    }

    /// Whether a key is written in letters that JSON may hide behind any escape, and that have cases beyond ASCII's.
    pub(super) fn are_hidden_by_escapes(&self) -> bool {
        self.keys.iter().any(|key| !key.trigger.is_ascii())
    }

    /// The key that makes a name secret.
    pub(super) fn secret(&self, name: &str) -> Option<&str> {
        let words = words(name);
        if words.is_empty() || self.exceptions.contains(&words.join("_")) {
            return None;
        }
        // A number at the end is one of several: `password2`.
        let last = words.iter().rposition(|word| !word.bytes().all(|byte| byte.is_ascii_digit()));
        let is_about = last.and_then(|last| words.get(last)).is_some_and(|word| ABOUT.contains(&word.as_str()));
        let counted = &words[..last.map_or(0, |last| last + 1)];
        let pieces: Vec<String> =
            name.split(|c: char| !c.is_alphanumeric()).filter(|piece| !piece.is_empty()).map(str::to_lowercase).collect();
        let found = self.keys.iter().find(|key| !(is_about && key.is_default) && key.is_in(counted, &words, &pieces));
        found.map(|key| key.label.as_str())
    }
}

impl Key {
    fn known(label: &str, within: Within, trigger: &str) -> Self {
        let words = words(label);
        Self { label: label.to_owned(), joined: words.concat(), words, within, trigger: trigger.to_owned(), is_default: true }
    }

    fn added(key: &str) -> Result<Self, InvalidRule> {
        let words = some_words("keys", key)?;
        let joined = words.concat();
        let within = if joined.chars().count() >= LONG { Within::Anywhere } else { Within::Words };
        let trigger = words.iter().max_by_key(|word| word.len()).cloned().unwrap_or_default();
        Ok(Self { label: key.trim().to_owned(), words, joined, within, trigger, is_default: false })
    }

    /// Whether it is in a name: its words without and with numbers at the end, and its pieces between signs.
    fn is_in(&self, counted: &[String], words: &[String], pieces: &[String]) -> bool {
        let same = |part: &[String]| is_same(part, &self.words, self.within != Within::End);
        match self.within {
            Within::Last => counted.len() >= self.words.len() && same(&counted[counted.len() - self.words.len()..]),
            _ if words.windows(self.words.len()).any(same) => true,
            Within::Anywhere => pieces.iter().any(|piece| piece.contains(&self.joined)),
            Within::End => {
                pieces.iter().any(|piece| piece.trim_end_matches(|c: char| c.is_ascii_digit()).ends_with(&self.joined))
            }
            Within::Words => false,
        }
    }
}

/// Whether words are those of a key; where it may be, the last one in the plural.
fn is_same(words: &[String], key: &[String], plural: bool) -> bool {
    words
        .iter()
        .zip(key)
        .enumerate()
        .all(|(place, (word, part))| word == part || (plural && place + 1 == key.len() && word.strip_suffix('s') == Some(part)))
}

fn some_words(kind: &'static str, name: &str) -> Result<Vec<String>, InvalidRule> {
    let words = words(name);
    if words.concat().chars().count() < 2 {
        return Err(InvalidRule { kind, rule: name.to_owned(), reason: "must have two letters or digits at least".to_owned() });
    }
    Ok(words)
}

/// The words of a name in lower case: `X-API-Key`, `xApiKey` and `x_api_key` have the same ones.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut before: Option<char> = None;
    let mut rest = name.chars().peekable();
    while let Some(c) = rest.next() {
        if c.is_alphanumeric() {
            let begins = match before {
                None => true,
                Some(last) => {
                    last.is_numeric() != c.is_numeric()
                        || (c.is_uppercase() && (last.is_lowercase() || rest.peek().is_some_and(|next| next.is_lowercase())))
                }
            };
            match words.last_mut().filter(|_| !begins) {
                Some(word) => word.extend(c.to_lowercase()),
                None => words.push(c.to_lowercase().collect()),
            }
        }
        before = Some(c).filter(|c| c.is_alphanumeric());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(name: &str) -> bool {
        Names::new(&[], &[]).unwrap().secret(name).is_some()
    }

    #[test]
    fn names_have_words() {
        for name in ["x_api_key", "X-API-Key", "xApiKey", "xAPIKey", "x.api key"] {
            assert_eq!(words(name), ["x", "api", "key"], "{name}");
        }
        assert_eq!(words("password2"), ["password", "2"]);
        assert_eq!(words("__"), [""; 0]);
    }

    #[test]
    fn secret_names() {
        let names = "password Password PASSWORD userPassword user-password db_password_1 password2 password_hash dbpassword \
             passwd mysql_pwd pass_word passphrase secret client_secret clientSecret clientsecret SECRET_KEY secrets \
             aws_secret_access_key secret_id token Token access_token accessToken refresh-token csrftoken token_value \
             token2 access_tokens api_key apiKey apikey X-API-Key APIKey OPENAI_API_KEY api_keys private_key \
             privateKey access_key accessKeyId authorization Authorization proxy-authorization auth basic_auth cookie \
             Set-Cookie cookies credentials aws_credentials credit_card creditCard creditcard credit_card_number \
             card_number cvv CVV2 cvc jwt otp XAPIKey";
        let missed: Vec<_> = names.split(' ').filter(|name| !secret(name)).collect();
        assert!(missed.is_empty(), "{missed:?}");
    }

    #[test]
    fn names_that_tell_no_secret() {
        let names = "token_count tokenCount max_tokens maxTokens tokens_used total_tokens prompt_tokens tokens tokenizer \
             tokenize author authors author_id authored auth_method primary_key foreign_key key keys keyword cache_key \
             secretary secretary_name compass passed pass bypass passenger card cards discard cookie_count \
             password_changed_at password_length next_token nextPageToken page-token token_ids token_type expires_in \
             id task_id uuid message_ids hash fingerprint sha256 session_id user username email _ 42";
        let found: Vec<_> = names.split(' ').chain([""]).filter(|name| secret(name)).collect();
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn keys_and_exceptions_can_be_added() {
        let names =
            Names::new(&["customer number".to_owned(), "pin".to_owned(), "пароль".to_owned()], &["device-token".to_owned()])
                .unwrap();
        for name in ["customer_number", "oldCustomerNumber", "CUSTOMERNUMBERS", "pin", "door_pin", "Пароль"] {
            assert!(names.secret(name).is_some(), "{name}");
        }
        for name in ["customer", "number", "pinned", "spin", "deviceToken", "device_token"] {
            assert_eq!(names.secret(name), None, "{name}");
        }
        assert!(names.secret("old_device_token").is_some(), "an exception is a whole name");
        assert!(names.are_hidden_by_escapes());
        assert_eq!(Names::new(&["--".to_owned()], &[]).unwrap_err().kind, "keys");
        assert_eq!(Names::new(&[], &[" ".to_owned()]).unwrap_err().kind, "exceptions");
    }

    #[test]
    fn every_secret_name_holds_its_trigger() {
        let names = Names::new(&[], &[]).unwrap();
        for (label, _, trigger) in DEFAULTS {
            assert!(label.contains(trigger) && names.secret(label).is_some(), "{label}");
        }
    }
}
