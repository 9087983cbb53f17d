//! Requests of another Rust program, with its API token.

use std::sync::{PoisonError, RwLock};

use leptos::server_fn::{
    Bytes,
    client::{Client, reqwest::ReqwestClient},
    error::FromServerFnError,
};
use reqwest::{
    Request, Response,
    header::{AUTHORIZATION, HeaderValue, InvalidHeaderValue},
};

static TOKEN: RwLock<Option<HeaderValue>> = RwLock::new(None);

/// Sends an API token with every call from now on, to a server that asks for a login.
///
/// # Errors
/// It can't be one: it has characters that no header may have.
pub fn set_api_token(token: &str) -> Result<(), InvalidHeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}"))?;
    value.set_sensitive(true);
    *TOKEN.write().unwrap_or_else(PoisonError::into_inner) = Some(value);
    Ok(())
}

/// The client of the server functions.
#[derive(Debug)]
pub struct TokenClient;

impl<E: FromServerFnError, I: FromServerFnError, O: FromServerFnError> Client<E, I, O> for TokenClient {
    type Request = Request;
    type Response = Response;

    fn send(mut request: Request) -> impl Future<Output = Result<Response, E>> + Send {
        if let Some(token) = TOKEN.read().unwrap_or_else(PoisonError::into_inner).clone() {
            request.headers_mut().insert(AUTHORIZATION, token);
        }
        <ReqwestClient as Client<E, I, O>>::send(request)
    }

    async fn open_websocket(
        path: &str,
    ) -> Result<(impl futures::Stream<Item = Result<Bytes, Bytes>> + Send + 'static, impl futures::Sink<Bytes> + Send + 'static), E>
    {
        <ReqwestClient as Client<E, I, O>>::open_websocket(path).await
    }

    fn spawn(future: impl Future<Output = ()> + Send + 'static) {
        <ReqwestClient as Client<E, I, O>>::spawn(future);
    }
}
