//! Header rules for a message that passes through (RFC 9110, 7.6; RFC 9112, 6).

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{self, Entry},
};

use crate::client::Client;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED: HeaderName = HeaderName::from_static("forwarded");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");

/// Fields that belong to one connection, and never pass.
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    KEEP_ALIVE,
    PROXY_CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HTTP2_SETTINGS,
];

/// Makes a request's headers fit for the upstream: hop-by-hop fields gone, the client named.
///
/// `Host` is left to whoever knows the endpoint; what the client sent is kept in `X-Forwarded-Host`.
pub(crate) fn request(headers: &mut HeaderMap, client: &Client) {
    strip(headers);
    keep_te_trailers(headers);
    headers.remove(FORWARDED);
    match client.forwarded_for() {
        Some(address) => headers.insert(X_FORWARDED_FOR, address),
        None => headers.remove(X_FORWARDED_FOR),
    };
    headers.insert(X_FORWARDED_PROTO, client.forwarded_proto());
    match headers.get(header::HOST).cloned() {
        Some(host) => headers.insert(X_FORWARDED_HOST, host),
        None => headers.remove(X_FORWARDED_HOST),
    };
}

/// Makes a response's headers fit for the client.
///
/// A length beside a transfer coding is dropped: the coding frames the message, the length is a lie or an attack.
pub(crate) fn response(headers: &mut HeaderMap) {
    if headers.contains_key(header::TRANSFER_ENCODING) {
        headers.remove(header::CONTENT_LENGTH);
    }
    strip(headers);
    headers.remove(header::TE);
}

/// Removes from trailers what must not stand there (RFC 9110, 6.5.1).
pub(crate) fn trailers(headers: &mut HeaderMap) {
    strip(headers);
    for name in [
        header::TE,
        header::HOST,
        header::CONTENT_LENGTH,
        header::AUTHORIZATION,
        header::SET_COOKIE,
        header::TRAILER,
    ] {
        headers.remove(name);
    }
}

fn strip(headers: &mut HeaderMap) {
    strip_listed(headers);
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

/// Removes the fields that `Connection` lists, except those that a sender has no business removing.
fn strip_listed(headers: &mut HeaderMap) {
    let Entry::Occupied(connection) = headers.entry(header::CONNECTION) else {
        return;
    };
    // Nearly always it is one of these two, and names no field at all.
    let harmless = |value: &HeaderValue| {
        value.as_bytes().eq_ignore_ascii_case(b"keep-alive")
            || value.as_bytes().eq_ignore_ascii_case(b"close")
    };
    if connection.iter().all(harmless) {
        return;
    }
    let listed: Vec<HeaderName> = connection
        .iter()
        .flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .filter(|name| !is_protected(name))
        .collect();
    for name in listed {
        headers.remove(name);
    }
}

/// What a client must not be able to take away from the upstream by naming it in `Connection`.
fn is_protected(name: &HeaderName) -> bool {
    matches!(
        *name,
        header::HOST | header::AUTHORIZATION | header::COOKIE | header::SET_COOKIE | header::TE
    ) || name.as_str().starts_with("content-")
        || name.as_str().starts_with("x-forwarded-")
        || *name == FORWARDED
}

/// `TE` belongs to one connection, but gRPC needs the upstream to know that trailers are welcome.
fn keep_te_trailers(headers: &mut HeaderMap) {
    let Entry::Occupied(mut te) = headers.entry(header::TE) else {
        return;
    };
    let trailers = te
        .iter()
        .flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
        .any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"));
    if trailers {
        te.insert(HeaderValue::from_static("trailers"));
    } else {
        te.remove_entry_mult();
    }
}
