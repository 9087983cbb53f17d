//! Who may do what: reporters by token, and no page of another site anything but a plain look.

use axum::{
    extract::Request,
    http::{HeaderMap, Method, Uri, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use subtle::ConstantTimeEq;

use super::{IngestToken, error::ApiError};

/// Lets a reporter pass who has the token, or everybody where none is configured.
pub(super) fn check_reporter(token: &IngestToken, headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(wanted) = &token.0 else { return Ok(()) };
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let given = headers.get("access-token").and_then(|value| value.to_str().ok()).or(bearer).unwrap_or_default();
    if bool::from(given.as_bytes().ct_eq(wanted.as_bytes())) { Ok(()) } else { Err(ApiError::Unauthorized) }
}

/// Browsers say where a request comes from. What another site asks is refused unless it only looks: a form or script of a stranger
/// must neither write nor open the live stream. Programs that are no browsers send neither header and are let through.
pub(super) async fn refuse_cross_site(request: Request, next: Next) -> Response {
    let looks = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let opens_socket = request.headers().contains_key(header::UPGRADE);
    if (!looks || opens_socket) && is_cross_site(request.headers()) {
        return ApiError::CrossSite.into_response();
    }
    next.run(request).await
}

fn is_cross_site(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text("sec-fetch-site") {
        return !matches!(site, "same-origin" | "none");
    }
    let Some(origin) = text("origin") else { return false };
    let origin_host = origin.parse::<Uri>().ok().and_then(|uri| uri.authority().map(ToString::to_string));
    origin_host.as_deref() != text("host")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn another_site_is_told_by_either_header() {
        assert!(!is_cross_site(&headers(&[("host", "a:1")])));
        assert!(!is_cross_site(&headers(&[("host", "a:1"), ("origin", "http://a:1")])));
        assert!(is_cross_site(&headers(&[("host", "a:1"), ("origin", "http://a:2")])));
        assert!(is_cross_site(&headers(&[("host", "a:1"), ("origin", "http://a:1.evil.example")])));
        assert!(is_cross_site(&headers(&[("host", "a:1"), ("origin", "null")])));
        assert!(is_cross_site(&headers(&[("host", "a:1"), ("sec-fetch-site", "cross-site")])));
        assert!(is_cross_site(&headers(&[("host", "a:1"), ("sec-fetch-site", "same-site")])));
        assert!(!is_cross_site(&headers(&[("host", "a:1"), ("sec-fetch-site", "same-origin"), ("origin", "http://a:1")])));
    }

    #[test]
    fn a_configured_token_is_asked_for() {
        let token = IngestToken(Some("secret".into()));
        assert!(check_reporter(&IngestToken(None), &headers(&[("access-token", "any")])).is_ok());
        assert!(check_reporter(&token, &headers(&[("access-token", "secret")])).is_ok());
        assert!(check_reporter(&token, &headers(&[("authorization", "Bearer secret")])).is_ok());
        for wrong in [headers(&[]), headers(&[("access-token", "secre")]), headers(&[("access-token", "secrets")])] {
            assert!(check_reporter(&token, &wrong).is_err());
        }
    }
}
