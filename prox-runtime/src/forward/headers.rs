//! Header rules for a message that passes through (RFC 9110, 7.6; RFC 9112, 6).
//!
//! What belongs to one connection is removed where a message comes in, before guards and layers see it: a request in
//! [`admit`], a response in [`response`]. There alone a `Connection` list counts. What comes out of layers and handlers has
//! no such list: [`sent`] and [`answered`] remove the fields of a connection, and no other.

use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{self, Entry},
};

use super::{claims, guarded::Guarded, length};
use crate::{client::Client, error::Failure};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub(super) const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
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
    pub(super) const CONTENT_LENGTH: u16 = 1 << 12;
    pub(super) const CLAIM: u16 = 1 << 13;
    pub(super) const GUARDED: u16 = 1 << 14;
}

/// Fields that belong to one connection, and never pass.
pub(super) const HOP_BY_HOP: [(u16, HeaderName); 8] = [
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
    /// The fields of a client's request, its claims among them, and what the layers of the gateway alone may write.
    pub(crate) fn of_client(headers: &HeaderMap, guarded: Option<&Guarded>) -> Self {
        let claim = |name: &str| match name {
            // These are replaced anyway.
            "x-forwarded-for" | "x-forwarded-proto" | "x-forwarded-host" => 0,
            _ if claims::is_claim(name) => field::CLAIM,
            _ => 0,
        };
        // Two loops, so that a gateway without such names pays nothing.
        match guarded {
            None => Self::find(headers, claim),
            Some(guarded) => Self::find(headers, |name| {
                claim(name) | if guarded.has(name) { field::GUARDED } else { 0 }
            }),
        }
    }

    pub(crate) fn of(headers: &HeaderMap) -> Self {
        Self::find(headers, |_| 0)
    }

    fn find(headers: &HeaderMap, other: impl Fn(&str) -> u16) -> Self {
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
            "content-length" => field::CONTENT_LENGTH,
            "expect" => field::EXPECT,
            name => other(name),
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

    /// Whether a name that only layers may write is among them.
    pub(crate) fn has_guarded(self) -> bool {
        self.has(field::GUARDED)
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

/// Makes of a client's request what guards, layers, handlers and upstreams may believe: fields that belong to the client's
/// connection are gone, its length is written once, and who it is stands in `X-Forwarded-*`.
///
/// Where a trusted proxy has said who the client is, that is repeated. What the client sent as `Host` is kept in
/// `X-Forwarded-Host`. `present` is of these same headers.
///
/// # Errors
///
/// [`Failure::MalformedRequest`] for lengths that differ; all the rest is done even so.
pub(crate) fn admit(
    headers: &mut HeaderMap,
    present: Present,
    client: &Client,
) -> Result<(), Failure> {
    strip_listed(headers, present);
    strip(headers, present);
    if present.has(field::TE) {
        keep_te_trailers(headers);
    }
    if present.has(field::FORWARDED) {
        headers.remove(header::FORWARDED);
    }
    if present.has(field::CLAIM) {
        claims::remove(headers, client);
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
    if present.has(field::CONTENT_LENGTH) {
        length::unify(headers).map_err(|_| Failure::MalformedRequest)?;
    }
    Ok(())
}

/// Whether a field belongs to one connection, and never passes.
pub(crate) fn is_of_a_connection(name: &HeaderName) -> bool {
    HOP_BY_HOP.iter().any(|(_, hop)| hop == name)
}

/// Makes a request that comes out of layers fit for the upstream: a layer may have set fields of a connection.
pub(crate) fn sent(headers: &mut HeaderMap) -> Present {
    let present = Present::of(headers);
    strip(headers, present);
    if present.has(field::TE) {
        keep_te_trailers(headers);
    }
    present
}

/// Makes the head of an upstream's response fit for layers and for the client.
///
/// A length beside a transfer coding is dropped: the coding frames the message, the length is a lie or an attack. A `204` has
/// no length (RFC 9110, 8.6).
pub(crate) fn response(headers: &mut HeaderMap, status: StatusCode) {
    let present = Present::of(headers);
    if present.has(field::CONTENT_LENGTH) {
        if present.has(field::TRANSFER_ENCODING) || status == StatusCode::NO_CONTENT {
            headers.remove(header::CONTENT_LENGTH);
        } else {
            length::well_formed(headers);
        }
    }
    strip_listed(headers, present);
    strip(headers, present);
    if present.has(field::TE) {
        headers.remove(header::TE);
    }
}

/// Makes the head of an answer that comes out of layers and handlers fit for the client.
///
/// A `Connection` field of theirs may say `close`, and no more: what else it lists would be removed by the client, or before.
pub(crate) fn answered(headers: &mut HeaderMap, status: StatusCode) {
    const OF_A_CONNECTION: u16 =
        field::CONNECTION | field::KEEP_ALIVE | field::PROXY_CONNECTION | field::TRANSFER_ENCODING;
    let present = Present::of(headers);
    if !present.has(OF_A_CONNECTION) {
        return;
    }
    // These name the protocols that the client is switched to, or should ask for.
    let switches = matches!(
        status,
        StatusCode::SWITCHING_PROTOCOLS | StatusCode::UPGRADE_REQUIRED
    );
    let is_close =
        |value: &HeaderValue| items(value).any(|item| item.eq_ignore_ascii_case(b"close"));
    let closes = headers.get_all(header::CONNECTION).iter().any(is_close);
    for (bit, name) in HOP_BY_HOP {
        let kept = bit == field::CONNECTION && switches;
        if bit & OF_A_CONNECTION != 0 && present.has(bit) && !kept {
            headers.remove(name);
        }
    }
    if closes && !switches {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
}

/// Makes the trailers of a client's request what layers, handlers and upstreams may believe.
pub(crate) fn client_trailers(headers: &mut HeaderMap) {
    strip_listed(headers, Present::of(headers));
    sent_trailers(headers);
}

/// Makes the trailers of a request that comes out of layers fit for the upstream.
pub(crate) fn sent_trailers(headers: &mut HeaderMap) {
    strip_trailers(headers);
    claims::remove_all(headers);
}

/// Makes the trailers of an upstream's response fit for layers and for the client.
pub(crate) fn response_trailers(headers: &mut HeaderMap) {
    strip_listed(headers, Present::of(headers));
    strip_trailers(headers);
}

/// Removes from trailers what must not stand there (RFC 9110, 6.5.1).
fn strip_trailers(headers: &mut HeaderMap) {
    strip(headers, Present::of(headers));
    for name in [
        header::TE,
        header::HOST,
        header::CONTENT_LENGTH,
        header::CONTENT_TYPE,
        header::CONTENT_ENCODING,
        header::CONTENT_RANGE,
        header::AUTHORIZATION,
        header::COOKIE,
        header::SET_COOKIE,
        header::TRAILER,
    ] {
        headers.remove(name);
    }
}

/// Removes the fields of a connection.
fn strip(headers: &mut HeaderMap, present: Present) {
    if !present.has(HOPS) {
        return;
    }
    for (bit, name) in HOP_BY_HOP {
        if present.has(bit) {
            headers.remove(name);
        }
    }
}

/// Removes the fields that `Connection` lists, except those that a sender has no business removing.
fn strip_listed(headers: &mut HeaderMap, present: Present) {
    if !present.has(field::CONNECTION) {
        return;
    }
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
        .flat_map(items)
        .filter_map(|name| HeaderName::from_bytes(name).ok())
        .filter(|name| !is_protected(name))
        .collect();
    for name in listed {
        headers.remove(name);
    }
}

/// The items of a list.
fn items(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    let items = value.as_bytes().split(|&byte| byte == b',');
    items.map(<[u8]>::trim_ascii)
}

/// What a sender must not be able to take away from the receiver by naming it in `Connection`. Claims have a rule of their own.
fn is_protected(name: &HeaderName) -> bool {
    matches!(
        *name,
        header::HOST
            | header::AUTHORIZATION
            | header::COOKIE
            | header::SET_COOKIE
            | header::EXPECT
            | header::TE
            | header::VIA
    ) || name.as_str().starts_with("content-")
        || claims::is_claim(name.as_str())
}

/// `TE` belongs to one connection, but gRPC needs the upstream to know that trailers are welcome.
fn keep_te_trailers(headers: &mut HeaderMap) {
    let Entry::Occupied(mut te) = headers.entry(header::TE) else {
        return;
    };
    let trailers = te
        .iter()
        .flat_map(items)
        .any(|coding| coding.eq_ignore_ascii_case(b"trailers"));
    if trailers {
        te.insert(HeaderValue::from_static("trailers"));
    } else {
        te.remove_entry_mult();
    }
}
