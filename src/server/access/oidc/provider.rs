//! The provider itself: what it says of itself, its keys, and what it says of people. Found at first use, so that one that is away keeps no server
//! from starting.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use openidconnect::{
    AccessTokenHash, AsyncHttpClient, AuthType, AuthorizationCode, ClaimsVerificationError, Client, ClientId, ClientSecret,
    EmptyExtraTokenFields, EndpointMaybeSet, EndpointNotSet, EndpointSet, HttpRequest, HttpResponse, IdTokenFields,
    IdTokenVerifier, JwsSigningAlgorithm, OAuth2TokenResponse, PkceCodeChallenge, RedirectUrl, RequestTokenError, Scope,
    StandardErrorResponse, StandardTokenResponse, TokenResponse, UserInfoClaims, UserInfoError,
    core::{
        CoreAuthDisplay, CoreAuthPrompt, CoreAuthenticationFlow, CoreClientAuthMethod, CoreErrorResponseType, CoreGenderClaim,
        CoreJsonWebKey, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm, CoreProviderMetadata, CoreRevocableToken,
        CoreRevocationErrorResponse, CoreTokenIntrospectionResponse, CoreTokenType,
    },
};
use reqwest::{Url, redirect::Policy};
use secrecy::ExposeSecret;
use tokio::sync::Mutex;

use super::{
    OidcConfig, OidcError,
    attempt::Attempt,
    claims::{OtherClaims, Person},
};

/// How long the provider may take for an answer.
const LIMIT: Duration = Duration::from_secs(10);
/// How long it may take until it listens.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// Bytes of its largest answer.
const LARGEST_ANSWER: usize = 1024 * 1024;
/// How long its keys are believed: one that it takes back is worth nothing after that.
const FRESH: Duration = Duration::from_secs(3600);
/// How often its keys are asked for because none of them fits.
const RENEWAL: Duration = Duration::from_secs(60);
/// How long nobody asks again after it gave no answer.
const REST: Duration = Duration::from_secs(2);

type Fields = IdTokenFields<
    OtherClaims,
    EmptyExtraTokenFields,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;
type Answer = StandardTokenResponse<Fields, CoreTokenType>;
type Error = StandardErrorResponse<CoreErrorResponseType>;
/// As the crate's own one, but for the claims that no standard knows.
type OidcClient = Client<
    OtherClaims,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    Error,
    Answer,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// The provider of a server.
#[derive(Debug)]
pub(crate) struct Provider {
    config: OidcConfig,
    known: Mutex<Known>,
}

/// What is known of it by now.
#[derive(Debug, Default)]
struct Known {
    found: Option<Arc<Found>>,
    renewed_at: Option<Instant>,
    failed: Option<(Instant, String)>,
}

/// What it says of itself.
#[derive(Debug)]
struct Found {
    client: OidcClient,
    algorithms: Vec<CoreJwsSigningAlgorithm>,
    http: Http,
    at: Instant,
}

impl Provider {
    pub(crate) fn new(config: OidcConfig) -> Self {
        Self { config, known: Mutex::default() }
    }

    pub(super) const fn config(&self) -> &OidcConfig {
        &self.config
    }

    /// Where somebody logs in.
    pub(super) async fn authorize_url(&self, attempt: &Attempt) -> Result<Url, OidcError> {
        let found = self.found().await?;
        let (state, nonce) = (attempt.state(), attempt.nonce());
        let (url, _, _) = found
            .client
            .authorize_url(CoreAuthenticationFlow::AuthorizationCode, move || state, move || nonce)
            .add_scopes(self.config.scopes.iter().cloned().map(Scope::new))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&attempt.verifier()))
            .url();
        Ok(url)
    }

    /// Whom a code stands for.
    pub(super) async fn person(&self, code: &str, attempt: &Attempt) -> Result<Person, OidcError> {
        let mut found = self.found().await?;
        let answer = found.exchange(code, attempt).await?;
        let token = answer.id_token().ok_or_else(|| untrusted("there is no ID token"))?;
        let nonce = attempt.nonce();
        let mut verified = token.claims(&found.verifier(), &nonce);
        if let Err(ClaimsVerificationError::SignatureVerification(_)) = verified
            && let Some(renewed) = self.renewed().await?
        {
            found = renewed;
            verified = token.claims(&found.verifier(), &nonce);
        }
        let claims = verified.map_err(|error| untrusted(format!("{:#}", anyhow::Error::from(error))))?;
        if let Some(wanted) = claims.access_token_hash() {
            let verifier = found.verifier();
            let (algorithm, key) = (token.signing_alg().map_err(untrusted)?, token.signing_key(&verifier).map_err(untrusted)?);
            let hash = AccessTokenHash::from_token(answer.access_token(), algorithm, key).map_err(untrusted)?;
            if hash != *wanted {
                return Err(untrusted("the access token is another one's"));
            }
        }
        let mut person = Person::new(claims.subject(), claims);
        // Many providers put into the token only what every client needs.
        if self.config.rules.miss(&person) && found.client.user_info_url().is_some() {
            let request =
                found.client.user_info(answer.access_token().clone(), Some(claims.subject().clone())).map_err(untrusted)?;
            let more: UserInfoClaims<OtherClaims, CoreGenderClaim> =
                request.request_async(&found.http).await.map_err(of_user_info)?;
            person.add(&more);
        }
        Ok(person)
    }

    /// What it says of itself, asked for where that was never or long ago.
    async fn found(&self) -> Result<Arc<Found>, OidcError> {
        let mut known = self.known.lock().await;
        if let Some(found) = known.found.as_ref().filter(|found| found.at.elapsed() < FRESH) {
            return Ok(found.clone());
        }
        if let Some((_, said)) = known.failed.as_ref().filter(|(at, _)| at.elapsed() < REST) {
            return Err(OidcError::Away(said.clone()));
        }
        self.find(&mut known).await
    }

    /// The same with new keys; none where new ones were asked for just now.
    async fn renewed(&self) -> Result<Option<Arc<Found>>, OidcError> {
        let mut known = self.known.lock().await;
        if known.renewed_at.is_some_and(|at| at.elapsed() < RENEWAL) {
            return Ok(None);
        }
        known.renewed_at = Some(Instant::now());
        self.find(&mut known).await.map(Some)
    }

    async fn find(&self, known: &mut Known) -> Result<Arc<Found>, OidcError> {
        match Found::new(&self.config).await {
            Ok(found) => {
                let found = Arc::new(found);
                *known = Known { found: Some(found.clone()), failed: None, renewed_at: known.renewed_at };
                Ok(found)
            }
            Err(error) => {
                let said = format!("{error:#}");
                known.failed = Some((Instant::now(), said.clone()));
                Err(OidcError::Away(said))
            }
        }
    }
}

impl Found {
    async fn new(config: &OidcConfig) -> anyhow::Result<Self> {
        let http = Http::new(config)?;
        let metadata = CoreProviderMetadata::discover_async(config.issuer.clone(), &http).await?;
        let algorithms = metadata.id_token_signing_alg_values_supported().iter();
        // What a client's secret signs, whoever knows the secret can sign.
        let algorithms = algorithms
            .filter(|algorithm| !algorithm.uses_shared_secret() && **algorithm != CoreJwsSigningAlgorithm::None)
            .cloned()
            .collect();
        let methods = metadata.token_endpoint_auth_methods_supported();
        let takes_basic = methods.is_none_or(|methods| methods.contains(&CoreClientAuthMethod::ClientSecretBasic));
        let secret = config.client_secret.as_ref().map(|secret| ClientSecret::new(secret.expose_secret().to_owned()));
        let client = OidcClient::from_provider_metadata(metadata, ClientId::new(config.client_id.clone()), secret)
            .set_redirect_uri(RedirectUrl::from_url(config.redirect_url.clone()))
            .set_auth_type(if takes_basic { AuthType::BasicAuth } else { AuthType::RequestBody });
        Ok(Self { client, algorithms, http, at: Instant::now() })
    }

    fn verifier(&self) -> IdTokenVerifier<'_, CoreJsonWebKey> {
        self.client.id_token_verifier().set_allowed_algs(self.algorithms.iter().cloned())
    }

    async fn exchange(&self, code: &str, attempt: &Attempt) -> Result<Answer, OidcError> {
        let request = self.client.exchange_code(AuthorizationCode::new(code.to_owned())).map_err(away)?;
        match request.set_pkce_verifier(attempt.verifier()).request_async(&self.http).await {
            Ok(answer) => Ok(answer),
            Err(RequestTokenError::ServerResponse(refusal)) => {
                Err(untrusted(format!("the code is refused: {}", refusal.error())))
            }
            Err(error) => Err(away(error)),
        }
    }
}

fn away(error: impl std::error::Error + Send + Sync + 'static) -> OidcError {
    OidcError::Away(format!("{:#}", anyhow::Error::from(error)))
}

fn of_user_info(error: UserInfoError<HttpError>) -> OidcError {
    match error {
        UserInfoError::ClaimsVerification(error) => untrusted(format!("user info: {error:#}")),
        error => away(error),
    }
}

fn untrusted(why: impl ToString) -> OidcError {
    OidcError::Untrusted(why.to_string())
}

/// Asks the provider: within limits, and nobody else that it leads to.
#[derive(Debug, Clone)]
struct Http(reqwest::Client);

/// Why the provider gave no answer.
#[derive(Debug, thiserror::Error)]
enum HttpError {
    #[error(transparent)]
    Request(#[from] reqwest::Error),
    #[error("its answer is larger than {LARGEST_ANSWER} bytes")]
    TooLarge,
}

impl Http {
    fn new(config: &OidcConfig) -> anyhow::Result<Self> {
        // Another part of the program may have chosen already, and that is as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .timeout(LIMIT)
            .connect_timeout(CONNECT_LIMIT)
            .redirect(Policy::none())
            // An encrypted provider names no endpoint that isn't.
            .https_only(config.issuer.url().scheme() == "https")
            .user_agent(concat!("taskscope/", env!("CARGO_PKG_VERSION")));
        Ok(Self(client.build().context("the HTTP client can't be set up")?))
    }

    async fn ask(self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let mut answer = self.0.execute(request.try_into()?).await?;
        let mut response = HttpResponse::new(Vec::new());
        *response.status_mut() = answer.status();
        *response.headers_mut() = std::mem::take(answer.headers_mut());
        while let Some(chunk) = answer.chunk().await? {
            if response.body().len() + chunk.len() > LARGEST_ANSWER {
                return Err(HttpError::TooLarge);
            }
            response.body_mut().extend_from_slice(&chunk);
        }
        Ok(response)
    }
}

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = HttpError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.clone().ask(request))
    }
}
