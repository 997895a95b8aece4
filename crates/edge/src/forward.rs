//! What changes in a request's and an answer's headers on their way. Pure.

use std::{
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use hyper::{
    HeaderMap, Method, Uri,
    header::{
        CONNECTION, EXPECT, FORWARDED, HOST, HeaderName, HeaderValue, PROXY_AUTHENTICATE, TE,
        TRAILER, TRANSFER_ENCODING, UPGRADE,
    },
    http::uri::PathAndQuery,
};

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// Names that many frameworks read as the ones above, since to them `_` and `-` are the same.
const DISGUISED: [&str; 7] = [
    "x_forwarded_for",
    "x_forwarded_host",
    "x_forwarded_proto",
    "x_forwarded_prefix",
    "x_request_id",
    "x_real_ip",
    "x_forwarded_port",
];

/// Takes out what concerns one connection only.
pub(crate) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|name| name.trim().parse().ok())
            // What says where a request goes and how long it is isn't the client's to take out.
            .filter(|name| *name != HOST && *name != hyper::header::CONTENT_LENGTH)
            .collect();
        for name in named {
            headers.remove(name);
        }
        headers.remove(CONNECTION);
    }
    for name in [
        KEEP_ALIVE,
        PROXY_CONNECTION,
        PROXY_AUTHENTICATE,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
    ] {
        headers.remove(name);
    }
}

/// Whether a request asks for another protocol. With a body it doesn't count: nobody could tell
/// where the new protocol begins.
pub(crate) fn wants_upgrade(method: &Method, headers: &HeaderMap, has_body: bool) -> bool {
    *method == Method::GET
        && !has_body
        && headers.contains_key(UPGRADE)
        && headers
            .get_all(CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|token| token.trim().eq_ignore_ascii_case("upgrade"))
}

/// What the app is told of the client.
pub(crate) struct Client<'a> {
    pub address: &'a HeaderValue,
    pub host: Option<&'a HeaderValue>,
    pub request: &'a HeaderValue,
    /// The beginning of the path that was taken off.
    pub prefix: Option<&'a str>,
}

/// Readies a request's headers for the app. What a client says of itself in the forwarded headers
/// isn't believed: it is replaced.
pub(crate) fn request_headers(headers: &mut HeaderMap, client: &Client<'_>) {
    strip_hop_by_hop(headers);
    // hyper has answered `100 Continue` itself once the body is read.
    headers.remove(EXPECT);
    headers.remove(FORWARDED);
    headers.remove(REAL_IP);
    headers.remove(FORWARDED_PREFIX);
    if headers
        .keys()
        .any(|name| name.as_str().as_bytes().contains(&b'_'))
    {
        for name in DISGUISED {
            headers.remove(name);
        }
    }
    headers.insert(FORWARDED_FOR, client.address.clone());
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static("http"));
    match client.host {
        Some(host) => headers.insert(FORWARDED_HOST, host.clone()),
        None => headers.remove(FORWARDED_HOST),
    };
    if let Some(prefix) = client
        .prefix
        .and_then(|prefix| HeaderValue::from_str(prefix).ok())
    {
        headers.insert(FORWARDED_PREFIX, prefix);
    }
    headers.insert(REQUEST_ID, client.request.clone());
}

/// An address as apps know it: IPv4 stays IPv4 on a socket for both.
pub(crate) fn address(address: IpAddr) -> HeaderValue {
    let text = address.to_canonical().to_string();
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("unknown"))
}

/// Path and query as the app gets them.
pub(crate) fn target(uri: &Uri, prefix: Option<&str>) -> Uri {
    let all = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let Some(prefix) = prefix else {
        return if uri.authority().is_none() {
            uri.clone()
        } else {
            all.parse().unwrap_or_default()
        };
    };
    let rest = all.strip_prefix(prefix).unwrap_or(all);
    let rest = if rest.starts_with('/') {
        rest.to_owned()
    } else {
        format!("/{rest}")
    };
    rest.parse().unwrap_or_default()
}

/// The host a request is for, in lower case and without port.
pub(crate) fn plain_host(host: &str) -> String {
    let end = match host.rfind(':') {
        Some(colon) if !host[colon..].contains(']') => colon,
        _ => host.len(),
    };
    host[..end].trim_end_matches('.').to_ascii_lowercase()
}

/// Makes names for requests.
#[derive(Debug, Default)]
pub(crate) struct RequestIds {
    first: RandomState,
    second: RandomState,
    next: AtomicU64,
}

impl RequestIds {
    /// The client's own name for its request where it is a sane one, else a new one.
    pub(crate) fn name(&self, headers: &HeaderMap) -> HeaderValue {
        let sane = |value: &&HeaderValue| {
            let bytes = value.as_bytes();
            (1..=128).contains(&bytes.len())
                && bytes
                    .iter()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-._=+/:".contains(byte))
        };
        if let Some(given) = headers.get(REQUEST_ID).filter(sane) {
            return given.clone();
        }
        let number = self.next.fetch_add(1, Relaxed);
        let mut name = [0; 32];
        let random = (u128::from(self.first.hash_one(number)) << 64)
            | u128::from(self.second.hash_one(number));
        for (place, digit) in name.iter_mut().enumerate() {
            *digit = b"0123456789abcdef"[(random >> (4 * place) & 15) as usize];
        }
        HeaderValue::from_bytes(&name).unwrap_or_else(|_| HeaderValue::from_static("-"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        };
        lines.iter().map(pair).collect()
    }

    #[test]
    fn what_concerns_one_connection_goes_no_further() {
        let mut all = headers(&[
            ("connection", "close, X-Secret, host, content-length"),
            ("x-secret", "1"),
            ("host", "a"),
            ("content-length", "3"),
            ("keep-alive", "5"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("transfer-encoding", "chunked"),
            ("cookie", "c"),
        ]);
        strip_hop_by_hop(&mut all);
        let mut left: Vec<_> = all.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["content-length", "cookie", "host"]);
    }

    #[test]
    fn a_client_cannot_say_who_it_is() {
        let mut all = headers(&[
            ("x-forwarded-for", "6.6.6.6"),
            ("x_forwarded_for", "6.6.6.6"),
            ("forwarded", "for=6.6.6.6"),
            ("x-real-ip", "6.6.6.6"),
            ("x-forwarded-proto", "https"),
            ("x_mine", "kept"),
        ]);
        let client = Client {
            address: &address("::ffff:10.1.2.3".parse().unwrap()),
            host: Some(&HeaderValue::from_static("a.example:8080")),
            request: &HeaderValue::from_static("id"),
            prefix: Some("/api"),
        };
        request_headers(&mut all, &client);
        assert_eq!(
            all,
            headers(&[
                ("x-forwarded-for", "10.1.2.3"),
                ("x-forwarded-proto", "http"),
                ("x-forwarded-host", "a.example:8080"),
                ("x-forwarded-prefix", "/api"),
                ("x-request-id", "id"),
                ("x_mine", "kept"),
            ])
        );
    }

    #[test]
    fn paths_lose_their_prefix_and_keep_their_query() {
        let of = |uri: &str, prefix| target(&uri.parse().unwrap(), prefix).to_string();
        assert_eq!(of("/a/b?c=/a", None), "/a/b?c=/a");
        assert_eq!(of("http://x.example/a?b", None), "/a?b");
        assert_eq!(of("/api/b?c", Some("/api")), "/b?c");
        assert_eq!(of("/api?c", Some("/api")), "/?c");
        assert_eq!(of("/api", Some("/api")), "/");
    }

    #[test]
    fn hosts_lose_port_and_case() {
        for (given, plain) in [
            ("A.Example:80", "a.example"),
            ("a.", "a"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
            ("", ""),
        ] {
            assert_eq!(plain_host(given), plain);
        }
    }

    #[test]
    fn request_ids_are_kept_where_sane_and_differ_where_made() {
        let ids = RequestIds::default();
        assert_eq!(ids.name(&headers(&[("x-request-id", "abc-1")])), "abc-1");
        let long: &'static str = Box::leak("x".repeat(129).into_boxed_str());
        for insane in ["", "a b", "a\"b", long] {
            let made = ids.name(&headers(&[("x-request-id", insane)]));
            assert_eq!(made.len(), 32);
            assert_ne!(made, ids.name(&HeaderMap::new()));
        }
    }
}
