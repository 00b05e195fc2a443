//! What a response is found by: all that a request for it tells the upstream.

use std::{
    hash::{Hash, Hasher},
    ops::Range,
    sync::Arc,
};

use http::{HeaderMap, HeaderName, HeaderValue, Uri, header, uri::Authority};

use crate::{client::Client, handler::Which, identity::Principal, route::Matched};

/// The fields of clients that go to upstreams, and so are a part of the key. `Via` is among them since loops are found by it.
const PASSING: [HeaderName; 5] = [
    header::HOST,
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::ACCEPT_LANGUAGE,
    header::VIA,
];

/// The key of a response. Cloning it is cheap.
#[derive(Clone, Debug)]
pub(crate) struct Key(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// What is behind the cache.
    behind: Which,
    /// The address of the row of the route.
    route: usize,
    /// Each part after its length.
    text: Box<[u8]>,
    /// Where the host and the path are.
    resource: Range<usize>,
    path: Range<usize>,
}

/// Adds a part after its length, and returns where it is.
fn push(text: &mut Vec<u8>, part: &[u8]) -> Range<usize> {
    let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
    text.extend_from_slice(&length.to_be_bytes());
    let start = text.len();
    text.extend_from_slice(part);
    start..text.len()
}

/// Adds the host and the path of a request, and returns where they are.
fn push_resource(
    text: &mut Vec<u8>,
    uri: &Uri,
    headers: &HeaderMap,
) -> Option<(Range<usize>, Range<usize>)> {
    let host = headers.get(header::HOST).map(HeaderValue::as_bytes);
    let host = host.or(uri
        .authority()
        .map(|authority| authority.as_str().as_bytes()))?;
    Some((push(text, host), push(text, uri.path().as_bytes())))
}

/// The [`Key::resource`] of a request.
pub(crate) fn resource(uri: &Uri, headers: &HeaderMap) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    let (host, _) = push_resource(&mut text, uri, headers)?;
    text.drain(..host.start);
    Some(text)
}

/// What a key is made of, beside the fields.
pub(crate) struct Parts<'r> {
    pub(crate) behind: Which,
    pub(crate) uri: &'r Uri,
    pub(crate) client: Option<&'r Client>,
    pub(crate) matched: Option<&'r Matched>,
    pub(crate) principal: Option<&'r Principal>,
}

/// The fields of a request that go to the upstream: those of [`PASSING`] and of `more`. There is no other place that lets a field
/// pass, and the key has all of them.
pub(crate) fn lean<'n>(
    headers: &HeaderMap,
    more: impl IntoIterator<Item = &'n HeaderName>,
) -> HeaderMap {
    let mut lean = HeaderMap::with_capacity(8);
    for name in PASSING.iter().chain(more) {
        if !lean.contains_key(name) {
            for value in headers.get_all(name) {
                lean.append(name.clone(), value.clone());
            }
        }
    }
    lean
}

impl Key {
    /// The key of a request with these fields, which are all that it has.
    pub(crate) fn new(parts: Parts<'_>, lean: &HeaderMap) -> Option<Self> {
        let mut text = Vec::with_capacity(256);
        let (host, path) = push_resource(&mut text, parts.uri, lean)?;
        let mut push = |part: &[u8]| _ = push(&mut text, part);
        // That there is none is not the same as that it is empty.
        push(parts.uri.query().map_or(&b""[..], |_| b"?"));
        push(parts.uri.query().unwrap_or_default().as_bytes());
        let authority = parts.uri.authority().map(Authority::as_str);
        push(authority.unwrap_or_default().as_bytes());
        push(parts.client.map_or("", Client::scheme).as_bytes());
        let claimed = parts.client.and_then(Client::forwarded_host);
        push(claimed.as_ref().map_or(&b""[..], |host| host.as_bytes()));
        if let Some(who) = parts.principal {
            push(who.scheme().as_bytes());
            push(who.issuer().unwrap_or_default().as_bytes());
            push(who.subject().as_bytes());
        }
        for (name, value) in lean {
            push(name.as_str().as_bytes());
            push(value.as_bytes());
        }
        let route = parts
            .matched
            .map_or(0, |matched| std::ptr::from_ref(matched.route()).addr());
        Some(Self(Arc::new(Inner {
            behind: parts.behind,
            route,
            resource: host.start..path.end,
            path,
            text: text.into(),
        })))
    }

    /// The host and the path.
    pub(crate) fn resource(&self) -> &[u8] {
        self.0.text.get(self.0.resource.clone()).unwrap_or_default()
    }

    /// The path in its canonical form.
    pub(crate) fn path(&self) -> &[u8] {
        self.0.text.get(self.0.path.clone()).unwrap_or_default()
    }

    /// The memory that it takes.
    pub(crate) fn len(&self) -> usize {
        size_of::<Inner>() + self.0.text.len()
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.0.behind.address() == other.0.behind.address()
            && self.0.route == other.0.route
            && self.0.text == other.0.text
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.behind.address().hash(state);
        self.0.route.hash(state);
        self.0.text.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use super::*;
    use crate::handler::{BoxHandler, handler};

    /// One handler for all keys.
    fn target() -> BoxHandler {
        static TARGET: OnceLock<BoxHandler> = OnceLock::new();
        let new = || BoxHandler::new(handler(async |_| "inside"));
        TARGET.get_or_init(new).clone()
    }

    fn key(uri: &str, fields: &[(&'static str, &'static str)], who: Option<&Principal>) -> Key {
        let headers: HeaderMap = fields
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect();
        let more = [HeaderName::from_static("x-user")];
        let parts = Parts {
            behind: target().which(),
            uri: &uri.parse().unwrap(),
            client: None,
            matched: None,
            principal: who,
        };
        Key::new(parts, &lean(&headers, &more)).unwrap()
    }

    #[test]
    fn requests_that_tell_an_upstream_different_things_have_different_keys() {
        let who = |issuer: &str, subject: &str| Principal::new("jwt", subject).with_issuer(issuer);
        let (ab, ba) = (who("a", "b"), who("", "ab"));
        let host = ("host", "a.test");
        let keys = [
            key("/", &[host], None),
            key("/?", &[host], None),
            key("/?a", &[host], None),
            key("/?A", &[host], None),
            key("/a", &[host], None),
            key("/", &[("host", "b.test")], None),
            key("/", &[("host", "A.test")], None),
            key("/", &[host, ("accept", "text/html")], None),
            key("/", &[host, ("accept-language", "text/html")], None),
            key("/", &[host, ("accept", "text"), ("accept", "/html")], None),
            key("/", &[host, ("accept", "")], None),
            key("/", &[host, ("x-user", "a")], None),
            key("/", &[host, ("via", "1.1 a")], None),
            key("/", &[host], Some(&ab)),
            key("/", &[host], Some(&ba)),
        ];
        for (place, one) in keys.iter().enumerate() {
            for (other, key) in keys.iter().enumerate() {
                assert_eq!(one == key, place == other, "{place} {other}");
            }
        }
    }

    #[test]
    fn what_does_not_go_up_is_not_in_the_key() {
        let one = key(
            "/",
            &[("host", "a"), ("cookie", "a=b"), ("user-agent", "x")],
            None,
        );
        assert_eq!(one, key("/", &[("host", "a")], None));
        assert_eq!(
            (one.path(), one.resource()),
            (&b"/"[..], &b"a\0\0\0\x01/"[..])
        );
    }

    #[test]
    fn a_change_is_counted_by_the_resource_of_the_key() {
        for (uri, host) in [("/a?b", "a.test"), ("http://b.test/a", "a.test")] {
            let headers = HeaderMap::from_iter([(header::HOST, HeaderValue::from_static(host))]);
            let key = key(uri, &[("host", host)], None);
            let changed = resource(&uri.parse().unwrap(), &headers);
            assert_eq!(changed.as_deref(), Some(key.resource()));
        }
        let authority = resource(&"http://b.test/a".parse().unwrap(), &HeaderMap::new());
        assert_eq!(authority.as_deref(), Some(&b"b.test\0\0\0\x02/a"[..]));
        assert_eq!(resource(&"/a".parse().unwrap(), &HeaderMap::new()), None);
    }
}
