//! Header rules for a message that passes through (RFC 9110, 7.6; RFC 9112, 6).

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{self, Entry},
};

use crate::client::Client;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub(super) const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED: HeaderName = HeaderName::from_static("forwarded");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");

/// Which of the fields that decide about a message it has, found in one pass over their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Present(u16);

mod field {
    pub(super) const CONNECTION: u16 = 1;
    pub(super) const KEEP_ALIVE: u16 = 1 << 1;
    pub(super) const PROXY_CONNECTION: u16 = 1 << 2;
    pub(super) const PROXY_AUTHENTICATE: u16 = 1 << 3;
    pub(super) const PROXY_AUTHORIZATION: u16 = 1 << 4;
    pub(super) const TRANSFER_ENCODING: u16 = 1 << 5;
    pub(super) const UPGRADE: u16 = 1 << 6;
    pub(super) const HTTP2_SETTINGS: u16 = 1 << 7;
    pub(super) const TE: u16 = 1 << 8;
    pub(super) const FORWARDED: u16 = 1 << 9;
    pub(super) const CONTENT_TYPE: u16 = 1 << 10;
    pub(super) const EXPECT: u16 = 1 << 11;
}

/// Fields that belong to one connection, and never pass.
const HOP_BY_HOP: [(u16, HeaderName); 8] = [
    (field::CONNECTION, header::CONNECTION),
    (field::KEEP_ALIVE, KEEP_ALIVE),
    (field::PROXY_CONNECTION, PROXY_CONNECTION),
    (field::PROXY_AUTHENTICATE, header::PROXY_AUTHENTICATE),
    (field::PROXY_AUTHORIZATION, header::PROXY_AUTHORIZATION),
    (field::TRANSFER_ENCODING, header::TRANSFER_ENCODING),
    (field::UPGRADE, header::UPGRADE),
    (field::HTTP2_SETTINGS, HTTP2_SETTINGS),
];

/// All of them.
const HOPS: u16 = (field::HTTP2_SETTINGS << 1) - 1;

impl Present {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let bits = headers.keys().map(|name| match name.as_str() {
            "connection" => field::CONNECTION,
            "keep-alive" => field::KEEP_ALIVE,
            "proxy-connection" => field::PROXY_CONNECTION,
            "proxy-authenticate" => field::PROXY_AUTHENTICATE,
            "proxy-authorization" => field::PROXY_AUTHORIZATION,
            "transfer-encoding" => field::TRANSFER_ENCODING,
            "upgrade" => field::UPGRADE,
            "http2-settings" => field::HTTP2_SETTINGS,
            "te" => field::TE,
            "forwarded" => field::FORWARDED,
            "content-type" => field::CONTENT_TYPE,
            "expect" => field::EXPECT,
            _ => 0,
        });
        Self(bits.fold(0, |all, one| all | one))
    }

    fn has(self, field: u16) -> bool {
        self.0 & field != 0
    }

    /// Whether it says of which type its content is.
    pub(crate) fn has_content_type(self) -> bool {
        self.has(field::CONTENT_TYPE)
    }

    /// Whether it asks for another protocol.
    pub(crate) fn has_upgrade(self) -> bool {
        self.has(field::UPGRADE)
    }

    /// Whether it expects something of its receiver.
    pub(crate) fn has_expect(self) -> bool {
        self.has(field::EXPECT)
    }
}

/// Makes a request's headers fit for the upstream: hop-by-hop fields gone, the client named.
///
/// `Host` is left to whoever knows the endpoint; what the client sent is kept in `X-Forwarded-Host`. Where a trusted proxy
/// has said who the client is, that is repeated instead. `present` is of these same headers.
pub(crate) fn request(headers: &mut HeaderMap, present: Present, client: &Client) {
    strip(headers, present);
    if present.has(field::TE) {
        keep_te_trailers(headers);
    }
    if present.has(field::FORWARDED) {
        headers.remove(FORWARDED);
    }
    match client.forwarded_for() {
        Some(address) => headers.insert(X_FORWARDED_FOR, address),
        None => headers.remove(X_FORWARDED_FOR),
    };
    headers.insert(X_FORWARDED_PROTO, client.forwarded_proto());
    let host = client.forwarded_host();
    match host.or_else(|| headers.get(header::HOST).cloned()) {
        Some(host) => headers.insert(X_FORWARDED_HOST, host),
        None => headers.remove(X_FORWARDED_HOST),
    };
}

/// Makes a response's headers fit for the client.
///
/// A length beside a transfer coding is dropped: the coding frames the message, the length is a lie or an attack.
pub(crate) fn response(headers: &mut HeaderMap) {
    let present = Present::of(headers);
    if present.has(field::TRANSFER_ENCODING) {
        headers.remove(header::CONTENT_LENGTH);
    }
    strip(headers, present);
    if present.has(field::TE) {
        headers.remove(header::TE);
    }
}

/// Drops a length that a layer made wrong, when that of the body is known; the sender then writes the right one.
///
/// Two lengths for one message would let its receiver take the end of the body for the next message.
pub(crate) fn right_length(headers: &mut HeaderMap, body: Option<u64>) {
    let Some(body) = body else { return };
    let Entry::Occupied(length) = headers.entry(header::CONTENT_LENGTH) else {
        return;
    };
    let right = |written: &HeaderValue| {
        written.to_str().ok().and_then(|length| length.parse().ok()) == Some(body)
    };
    if !length.iter().all(right) {
        length.remove_entry_mult();
    }
}

/// Removes from trailers what must not stand there (RFC 9110, 6.5.1).
pub(crate) fn trailers(headers: &mut HeaderMap) {
    strip(headers, Present::of(headers));
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

fn strip(headers: &mut HeaderMap, present: Present) {
    if present.0 & HOPS == 0 {
        return;
    }
    if present.has(field::CONNECTION) {
        strip_listed(headers);
    }
    for (bit, name) in HOP_BY_HOP {
        if present.has(bit) {
            headers.remove(name);
        }
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
        header::HOST
            | header::AUTHORIZATION
            | header::COOKIE
            | header::SET_COOKIE
            | header::TE
            | header::VIA
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
