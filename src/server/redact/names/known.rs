//! The names that are secret always, and those that only look like it.

/// Where in a name the words of a key must stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Within {
    /// Anywhere, also inside of a longer word: `dbpassword`, `passwordHash`.
    Anywhere,
    /// As words anywhere, or at the end of a longer word: `csrftoken`, but not `tokenizer`.
    End,
    /// As words anywhere: `cvv`, but no `recvvalue`.
    Words,
    /// As the last words: `basic_auth`, but no `auth_method`.
    Last,
}

/// The keys that hold always: the words, where they stand, and the part that any such name has in one piece.
pub(super) const DEFAULTS: [(&str, Within, &str); 35] = [
    ("password", Within::Anywhere, "pass"),
    ("passwd", Within::Anywhere, "pass"),
    ("passphrase", Within::Anywhere, "pass"),
    ("passcode", Within::Anywhere, "pass"),
    ("pass_word", Within::Words, "pass"),
    ("db_pass", Within::End, "pass"),
    ("smtp_pass", Within::End, "pass"),
    ("user_pass", Within::End, "pass"),
    ("pwd", Within::End, "pwd"),
    ("secret", Within::End, "secret"),
    ("secrets", Within::Words, "secret"),
    ("secret_key", Within::Anywhere, "secret"),
    ("token", Within::End, "token"),
    ("access_tokens", Within::Anywhere, "token"),
    ("refresh_tokens", Within::Anywhere, "token"),
    ("auth_tokens", Within::Anywhere, "token"),
    ("api_tokens", Within::Anywhere, "token"),
    ("api_key", Within::Anywhere, "key"),
    ("access_key", Within::Anywhere, "key"),
    ("private_key", Within::Anywhere, "key"),
    ("encryption_key", Within::Anywhere, "key"),
    ("signing_key", Within::Anywhere, "key"),
    ("ssh_key", Within::Anywhere, "key"),
    ("authorization", Within::Anywhere, "auth"),
    ("auth", Within::Last, "auth"),
    ("credential", Within::Anywhere, "credential"),
    ("cookie", Within::Anywhere, "cookie"),
    ("bearer", Within::Last, "bearer"),
    ("csrf", Within::Words, "csrf"),
    ("jwt", Within::Words, "jwt"),
    ("otp", Within::Words, "otp"),
    ("credit_card", Within::Anywhere, "credit"),
    ("card_number", Within::Anywhere, "card"),
    ("cvv", Within::Words, "cvv"),
    ("cvc", Within::Words, "cvc"),
];

/// The last word of names that tell something about a secret and not the secret: `token_count`, `password_changed_at`.
pub(super) const ABOUT: [&str; 28] = [
    "at",
    "attempts",
    "budget",
    "changed",
    "count",
    "enabled",
    "endpoint",
    "expiration",
    "expired",
    "expires",
    "expiry",
    "in",
    "length",
    "limit",
    "name",
    "policy",
    "required",
    "size",
    "status",
    "strength",
    "total",
    "ttl",
    "type",
    "types",
    "usage",
    "used",
    "valid",
    "version",
];

/// Whole names that are no secrets: places in a list, and what language models call a token.
pub(super) const NO_SECRETS: [&str; 17] = [
    "next_token",
    "next_page_token",
    "page_token",
    "continuation_token",
    "token_id",
    "token_ids",
    "token_index",
    "token_url",
    "authorization_url",
    "eos_token",
    "bos_token",
    "pad_token",
    "unk_token",
    "cls_token",
    "sep_token",
    "mask_token",
    "stop_token",
];
