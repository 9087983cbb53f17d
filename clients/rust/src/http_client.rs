//! The little of HTTP that a reporter needs: requests with a time limit, without redirects, and around proxies unless they are asked for.

use std::{error::Error, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::{
    client::{
        legacy::{
            Client,
            connect::{Connect, HttpConnector, proxy::Tunnel},
        },
        proxy::matcher::Matcher,
    },
    rt::{TokioExecutor, TokioTimer},
};
use tokio::time::timeout;

/// More of an answer is not read.
const LARGEST_ANSWER: usize = 4 * 1024 * 1024;
/// Events and heartbeats: two connections are all that is ever needed.
const CONNECTIONS: usize = 2;

type BoxError = Box<dyn Error + Send + Sync>;
type Exchange = Pin<Box<dyn Future<Output = Result<Response<Bytes>, BoxError>> + Send>>;

/// A client of one server.
#[derive(Clone)]
pub(crate) struct HttpClient {
    send: Arc<dyn Fn(Request<Full<Bytes>>) -> Exchange + Send + Sync>,
    limit: Duration,
}

impl HttpClient {
    /// A client of the server that has this URL.
    ///
    /// # Errors
    /// https can't be set up, or the proxy of the environment is of a kind that it can't speak to.
    pub(crate) fn new(server: &Uri, limit: Duration, environment_proxies: bool) -> Result<Self, BoxError> {
        let mut direct = HttpConnector::new();
        direct.set_nodelay(true);
        // What comes out of it may be wrapped in TLS.
        direct.enforce_http(false);
        let proxy = environment_proxies.then(Matcher::from_env).and_then(|proxies| proxies.intercept(server));
        match proxy {
            None => Self::over(direct, server, limit),
            Some(proxy) if proxy.uri().scheme_str() != Some("http") => {
                Err(format!("a proxy must be reached by http, not as {}", proxy.uri()).into())
            }
            // The tunnel would lead to the port of https.
            Some(_) if server.scheme_str() == Some("http") && server.port().is_none() => {
                Err("an http URL must have a port to be reached through a proxy".into())
            }
            Some(proxy) => {
                let tunnel = Tunnel::new(proxy.uri().clone(), direct);
                Self::over(proxy.basic_auth().cloned().into_iter().fold(tunnel, Tunnel::with_auth), server, limit)
            }
        }
    }

    /// Sends a request and reads the whole answer, whatever it is.
    ///
    /// # Errors
    /// There is no answer within the limit.
    pub(crate) async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, BoxError> {
        timeout(self.limit, (self.send)(request)).await?
    }

    #[cfg(feature = "tls")]
    fn over<C>(connector: C, server: &Uri, limit: Duration) -> Result<Self, BoxError>
    where
        C: Connect + Clone + Send + Sync + 'static,
        hyper_rustls::HttpsConnector<C>: Connect,
    {
        // Certificates are looked for only where they are needed: it takes a while, and there may be none.
        if server.scheme_str() != Some("https") {
            return Ok(Self::with(connector, limit));
        }
        let provider = rustls::crypto::ring::default_provider();
        let https = hyper_rustls::HttpsConnectorBuilder::new().with_provider_and_platform_verifier(provider)?;
        Ok(Self::with(https.https_only().enable_http1().wrap_connector(connector), limit))
    }

    #[cfg(not(feature = "tls"))]
    #[expect(clippy::unnecessary_wraps, reason = "with the feature `tls` it may fail")]
    fn over(connector: impl Connect + Clone + Send + Sync + 'static, _: &Uri, limit: Duration) -> Result<Self, BoxError> {
        Ok(Self::with(connector, limit))
    }

    fn with(connector: impl Connect + Clone + Send + Sync + 'static, limit: Duration) -> Self {
        let mut builder = Client::builder(TokioExecutor::new());
        let client = builder.pool_timer(TokioTimer::new()).pool_max_idle_per_host(CONNECTIONS).build(connector);
        let send = move |request| -> Exchange {
            let response = client.request(request);
            Box::pin(async move {
                let (head, body) = response.await?.into_parts();
                let body = Limited::new(body, LARGEST_ANSWER).collect().await?.to_bytes();
                Ok(Response::from_parts(head, body))
            })
        };
        Self { send: Arc::new(send), limit }
    }
}
