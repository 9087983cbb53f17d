//! A small OpenID provider that signs what a test makes it say, with a real key.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use axum::{
    Form, Json, Router,
    extract::{Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::{
    digest, hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use serde_json::{Map, Value, json};
use taskscope::server::config::{OidcSettings, Settings};
use tokio::{net::TcpListener, task::JoinHandle};

/// What the server is known by.
pub const CLIENT: &str = "taskscope";
pub const SECRET: &str = "a secret between both";

/// A running provider. What it says can be changed while it runs.
pub struct Provider {
    pub issuer: String,
    port: u16,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    issuer: String,
    key: Mutex<Key>,
    says: Mutex<Says>,
    codes: Mutex<HashMap<String, Asked>>,
    counts: Mutex<HashMap<&'static str, usize>>,
}

struct Key {
    id: String,
    pair: EcdsaKeyPair,
}

/// What the provider says.
#[derive(Clone)]
pub struct Says {
    /// Claims of the ID token, over the right ones; null takes one away.
    pub claims: Value,
    /// What the user info endpoint gives.
    pub user_info: Value,
    /// How the token is signed: `ES256`, `none`, `HS256` with the client's secret, or `other key`.
    pub signed: &'static str,
    /// Over the right answer of the token endpoint; null takes a member away.
    pub answer: Value,
    /// In place of the discovery document.
    pub discovery: Option<fn(&str) -> Response>,
}

impl Default for Says {
    fn default() -> Self {
        Self { claims: json!({}), user_info: json!({ "sub": "ann" }), signed: "ES256", answer: json!({}), discovery: None }
    }
}

/// What a browser was sent with.
#[derive(Clone, Debug)]
struct Asked {
    nonce: String,
    challenge: String,
    redirect_uri: String,
}

impl Key {
    fn new(id: &str) -> Self {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).unwrap();
        Self { id: id.to_owned(), pair }
    }

    fn sign(&self, text: &str) -> String {
        encoded(self.pair.sign(&SystemRandom::new(), text.as_bytes()).unwrap())
    }

    /// As it stands in the key set.
    fn public(&self) -> Value {
        let (x, y) = self.pair.public_key().as_ref()[1..].split_at(32);
        json!({ "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.id, "x": encoded(x), "y": encoded(y) })
    }
}

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

impl Provider {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let issuer = format!("http://127.0.0.1:{port}");
        let shared = Arc::new(Shared {
            issuer: issuer.clone(),
            key: Mutex::new(Key::new("first")),
            says: Mutex::default(),
            codes: Mutex::default(),
            counts: Mutex::default(),
        });
        let task = serve(listener, shared.clone());
        Self { issuer, port, shared, task }
    }

    /// Listens no more.
    pub async fn stop(&mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }

    pub async fn come_back(&mut self) {
        self.task = serve(TcpListener::bind(("127.0.0.1", self.port)).await.unwrap(), self.shared.clone());
    }

    pub fn says(&self, says: Says) {
        *self.shared.says.lock().unwrap() = says;
    }

    pub fn claims(&self, claims: Value) {
        self.says(Says { claims, ..Says::default() });
    }

    /// Signs with a new key from now on; the old one is gone.
    pub fn change_key(&self, id: &str) {
        *self.shared.key.lock().unwrap() = Key::new(id);
    }

    /// How often a path was asked for.
    pub fn count(&self, path: &'static str) -> usize {
        self.shared.counts.lock().unwrap().get(path).copied().unwrap_or_default()
    }

    /// What a server needs to know of it: everybody in `staff` is a viewer, in `ops` an operator, in `admins` an admin.
    pub fn set_up(&self, settings: &mut Settings, login: &str) {
        let some = |text: &str| Some(text.to_owned());
        settings.login = some(login);
        settings.admin_password = some(super::PASSWORD);
        settings.public_url = some("http://tasks.localhost");
        settings.oidc = OidcSettings {
            issuer: Some(self.issuer.clone()),
            client_id: some(CLIENT),
            client_secret: some(SECRET),
            name: some("Example Login"),
            admins: some("admins"),
            operators: some("ops"),
            viewers: some("staff"),
            ..OidcSettings::default()
        };
    }
}

fn serve(listener: TcpListener, shared: Arc<Shared>) -> JoinHandle<()> {
    let router = Router::new()
        .route("/.well-known/openid-configuration", get(discovery))
        .route("/keys", get(keys))
        .route("/authorize", get(authorize))
        .route("/token", post(token))
        .route("/userinfo", get(user_info))
        .with_state(shared);
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() })
}

async fn discovery(State(shared): State<Arc<Shared>>) -> Response {
    count(&shared, "discovery");
    let issuer = &shared.issuer;
    if let Some(other) = shared.says.lock().unwrap().discovery {
        return other(issuer);
    }
    Json(metadata(issuer)).into_response()
}

pub fn metadata(issuer: &str) -> Value {
    json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "userinfo_endpoint": format!("{issuer}/userinfo"),
        "jwks_uri": format!("{issuer}/keys"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256", "HS256", "none"],
    })
}

async fn keys(State(shared): State<Arc<Shared>>) -> Json<Value> {
    count(&shared, "keys");
    Json(json!({ "keys": [shared.key.lock().unwrap().public()] }))
}

/// Somebody is logged in already, and is sent back at once.
async fn authorize(State(shared): State<Arc<Shared>>, Query(asked): Query<HashMap<String, String>>) -> Redirect {
    assert_eq!((asked["client_id"].as_str(), asked["response_type"].as_str()), (CLIENT, "code"));
    assert_eq!((asked["code_challenge_method"].as_str(), asked["scope"].as_str()), ("S256", "openid profile email"));
    let [nonce, challenge, redirect_uri, state] =
        ["nonce", "code_challenge", "redirect_uri", "state"].map(|name| asked[name].clone());
    let code = format!("code-{}", shared.codes.lock().unwrap().len());
    let back = format!("{redirect_uri}?code={code}&state={state}&iss={}", shared.issuer.replace(':', "%3A").replace('/', "%2F"));
    shared.codes.lock().unwrap().insert(code, Asked { nonce, challenge, redirect_uri });
    Redirect::to(&back)
}

async fn token(State(shared): State<Arc<Shared>>, headers: HeaderMap, Form(given): Form<HashMap<String, String>>) -> Response {
    count(&shared, "token");
    let basic = base64::prelude::BASE64_STANDARD.encode(format!("{CLIENT}:{}", SECRET.replace(' ', "+")));
    let is_client = headers.get("authorization").is_some_and(|value| value.to_str().unwrap() == format!("Basic {basic}"));
    let mut codes = shared.codes.lock().unwrap();
    let asked = codes.get_mut(&given["code"]).filter(|asked| {
        let challenge = encoded(digest::digest(&digest::SHA256, given["code_verifier"].as_bytes()));
        is_client && challenge == asked.challenge && given["redirect_uri"] == asked.redirect_uri
    });
    let Some(asked) = asked.map(|asked| std::mem::replace(asked, Asked { challenge: "used".to_owned(), ..asked.clone() })) else {
        return (StatusCode::BAD_REQUEST, Json(json!({ "error": "invalid_grant" }))).into_response();
    };
    let says = shared.says.lock().unwrap().clone();
    let token = id_token(&shared, &asked, &says);
    let answer = json!({ "access_token": "access", "token_type": "Bearer", "expires_in": 60, "id_token": token });
    Json(over(answer, &says.answer)).into_response()
}

fn id_token(shared: &Shared, asked: &Asked, says: &Says) -> String {
    let now = chrono::Utc::now().timestamp();
    let right = json!({
        "iss": shared.issuer, "aud": CLIENT, "sub": "ann", "exp": now + 60, "iat": now, "nonce": asked.nonce,
    });
    let key = shared.key.lock().unwrap();
    let algorithm = if says.signed == "other key" { "ES256" } else { says.signed };
    let header = json!({ "alg": algorithm, "typ": "JWT", "kid": key.id });
    let text = format!("{}.{}", encoded(header.to_string()), encoded(over(right, &says.claims).to_string()));
    let signature = match says.signed {
        "none" => String::new(),
        "HS256" => encoded(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), text.as_bytes())),
        "other key" => Key::new("other").sign(&text),
        _ => key.sign(&text),
    };
    format!("{text}.{signature}")
}

async fn user_info(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    count(&shared, "userinfo");
    if headers.get("authorization").is_none_or(|value| value != "Bearer access") {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    Json(shared.says.lock().unwrap().user_info.clone()).into_response()
}

fn count(shared: &Shared, path: &'static str) {
    *shared.counts.lock().unwrap().entry(path).or_default() += 1;
}

/// One object over another; null takes a member away.
fn over(mut below: Value, above: &Value) -> Value {
    let members: &mut Map<String, Value> = below.as_object_mut().unwrap();
    for (name, value) in above.as_object().unwrap() {
        match value {
            Value::Null => members.remove(name),
            value => members.insert(name.clone(), value.clone()),
        };
    }
    below
}
