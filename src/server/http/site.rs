//! What browsers may be made to do: no page of another site does anything but look, and none under another name not even that.

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, Method, Uri, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::error::ApiError;

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

/// The names under which the server may be asked, besides IP addresses and `localhost`.
#[derive(Clone, Debug, Default)]
pub struct HostNames(pub Arc<[String]>);

impl HostNames {
    /// Whether a `Host` is one of this server's.
    fn hold(&self, authority: &str) -> bool {
        let Ok(authority) = authority.parse::<Authority>() else { return false };
        let host = authority.host().trim_end_matches('.').to_ascii_lowercase();
        let address = host.trim_start_matches('[').trim_end_matches(']');
        address.parse::<IpAddr>().is_ok() || host == "localhost" || host.ends_with(".localhost") || self.0.contains(&host)
    }
}

/// Refuses requests under a strange name. A site can let its name mean this machine (DNS rebinding): to the browser its pages and this server are one
/// site then, and could read everything. Programs that name no host are no browsers and are let through.
pub(super) async fn refuse_strange_host(State(names): State<HostNames>, request: Request, next: Next) -> Response {
    let authority = request.uri().authority().map(Authority::as_str);
    let named = request.headers().get(header::HOST).map(|host| host.to_str().unwrap_or_default());
    match authority.or(named).filter(|host| !names.hold(host)) {
        Some(host) => ApiError::StrangeHost(host.to_owned()).into_response(),
        None => next.run(request).await,
    }
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
    fn only_its_own_names_are_the_servers() {
        let names = HostNames(["tasks.example.com".to_owned()].into());
        for own in [
            "127.0.0.1",
            "127.0.0.1:3000",
            "[::1]:3000",
            "LocalHost:3000",
            "a.localhost",
            "localhost.:1",
            "Tasks.example.com:443",
        ] {
            assert!(names.hold(own), "{own}");
        }
        for strange in [
            "",
            "evil.example",
            "evil.example:3000",
            "tasks.example.com.evil.example",
            "xtasks.example.com",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "[::1",
            "localhost@evil.example",
            "a b",
        ] {
            assert!(!names.hold(strange), "{strange}");
        }
    }
}
