//! Gives each request a name that the upstream, the client and the log know it by.

use std::{
    cell::Cell,
    fmt,
    hash::{BuildHasher, RandomState},
    sync::{Arc, OnceLock},
    time::{SystemTime, UNIX_EPOCH},
};

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{
    Middleware, fields,
    steps::{self, Head, Kept, Needs, Passed, Step},
};
use crate::handler::Response;

/// The header of the id, both ways.
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id of a client that is kept.
const LONGEST: usize = 128;

/// Sets `x-request-id` on the request, so that the upstream gets it, and on the response.
///
/// The id is a UUID of version 7 (RFC 9562, section 5.7): the time in milliseconds, then 74 random bits, so that ids sort by
/// time. What the client sent is replaced, unless [`trust_client`](Self::trust_client) was asked for; what the upstream
/// answers with is always replaced. Handlers and layers behind it find the id in the request's extensions as
/// [`RequestIdValue`], and [`AccessLog`](super::AccessLog) has it as `id`, whichever of the two stands first.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::{Middleware, Next, Request, Body, middleware::RequestId, dsl::handler};
///
/// async fn echo(req: Request) -> String {
///     format!("{:?}", req.headers()["x-request-id"])
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let next = Next::new(handler(echo));
/// let response = RequestId::new().handle(Request::new(Body::empty()), next).await;
/// let id = format!("{:?}", response.headers()["x-request-id"]);
/// assert_eq!(response.into_body().bytes(64).await.unwrap(), id);
/// # });
/// ```
#[derive(Clone, Debug, Default)]
pub struct RequestId {
    trust: bool,
}

/// The id of a request, as [`RequestId`] puts it into the request's extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestIdValue(HeaderValue);

impl RequestIdValue {
    /// The id: a UUID, or what a trusted client sent.
    pub fn as_str(&self) -> &str {
        // Only letters, digits and three other characters of ASCII are ever let in.
        self.0.to_str().unwrap_or_default()
    }
}

impl fmt::Display for RequestIdValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Tells a layer that stands before [`RequestId`] which id was given: put it into the request's extensions.
#[derive(Clone, Debug, Default)]
pub(super) struct IdSlot(Arc<OnceLock<RequestIdValue>>);

impl IdSlot {
    /// The id, once there is one.
    pub(super) fn get(&self) -> Option<&RequestIdValue> {
        self.0.get()
    }
}

impl RequestId {
    /// A new id for each request, whatever the client sent.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps the id that a client sent, if there is one and it is 1 to 128 characters of `A-Z a-z 0-9 . _ -`.
    ///
    /// For a gateway that only other gateways of one's own reach: else a client may choose what the logs say, and use an id
    /// twice.
    pub fn trust_client(mut self) -> Self {
        self.trust = true;
        self
    }

    fn id(&self, headers: &HeaderMap) -> RequestIdValue {
        let kept = if self.trust { sent(headers) } else { None };
        RequestIdValue(kept.unwrap_or_else(fresh))
    }
}

impl Step for RequestId {
    fn needs(&self) -> Needs {
        Needs::NOTHING
    }

    fn before(&self, head: &mut Head<'_>) -> Option<Passed> {
        let id = self.id(head.headers());
        if let Some(IdSlot(slot)) = head.extensions().get() {
            // The first id is the one of the outermost layer, and is kept.
            let _ = slot.set(id.clone());
        }
        head.headers_mut().insert(X_REQUEST_ID, id.0.clone());
        head.extensions_mut().insert(id.clone());
        Some(Ok(Kept::Field(id.0)))
    }

    fn after(&self, kept: Kept, response: &mut Response) {
        if let Kept::Field(id) = kept {
            response.headers_mut().insert(X_REQUEST_ID, id);
        }
    }
}

impl Middleware for RequestId {
    steps::as_middleware!();
}

/// The client's own id, if there is exactly one and it is harmless in a log.
fn sent(headers: &HeaderMap) -> Option<HeaderValue> {
    let id = fields::only(headers, X_REQUEST_ID)?;
    let harmless = (1..=LONGEST).contains(&id.len())
        && id
            .as_bytes()
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte));
    harmless.then(|| id.clone())
}

fn fresh() -> HeaderValue {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let millis = since.map_or(0, |since| since.as_millis());
    let random = (u128::from(random()) << 64) | u128::from(random());
    HeaderValue::from_bytes(&uuid_v7(millis, random))
        .expect("hexadecimal digits and hyphens are a header's value")
}

/// RFC 9562, section 5.7: 48 bits of time, the version, 12 random bits, the variant, 62 random bits.
fn uuid_v7(millis: u128, random: u128) -> [u8; 36] {
    const RANDOM: u128 = 0x0000_0000_0000_0fff_3fff_ffff_ffff_ffff;
    const VERSION_AND_VARIANT: u128 = 0x0000_0000_0000_7000_8000_0000_0000_0000;
    let uuid = (millis << 80) | VERSION_AND_VARIANT | (random & RANDOM);
    let mut shift = 128;
    let mut text = [b'-'; 36];
    for (place, byte) in text.iter_mut().enumerate() {
        if !matches!(place, 8 | 13 | 18 | 23) {
            shift -= 4;
            *byte = b"0123456789abcdef"[(uuid >> shift) as usize & 0xf];
        }
    }
    text
}

thread_local! {
    static STATE: Cell<[u64; 4]> = Cell::new(seed());
}

/// The keys of the standard library's hash maps come from the operating system, and differ from thread to thread.
fn seed() -> [u64; 4] {
    let keys = RandomState::new();
    std::array::from_fn(|n| keys.hash_one(n))
}

/// xoshiro256++, one for each thread: enough for ids, which are no secrets.
fn random() -> u64 {
    STATE.with(|state| {
        let [mut a, mut b, mut c, mut d] = state.get();
        let result = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let shifted = b << 17;
        c ^= a;
        d ^= b;
        b ^= c;
        a ^= d;
        c ^= shifted;
        d = d.rotate_left(45);
        state.set([a, b, c, d]);
        result
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::{
        body::Body,
        handler::{BoxHandler, Request, handler},
        middleware::{IntoLayer, Next},
    };

    /// Answers with the id that it got, and with one of its own in the header.
    async fn upstream(req: Request) -> Response {
        let id = req.extensions().get::<RequestIdValue>().unwrap().clone();
        assert_eq!(req.headers()[X_REQUEST_ID], id.as_str());
        let mut response = Response::new(Body::from(id.to_string()));
        let own = HeaderValue::from_static("of-the-upstream");
        response.headers_mut().insert(X_REQUEST_ID, own);
        response
    }

    /// The id that the client and the upstream get.
    async fn id(layer: RequestId, sent: &[&'static str]) -> String {
        let mut req = Request::new(Body::empty());
        for id in sent {
            req.headers_mut()
                .append(X_REQUEST_ID, HeaderValue::from_static(id));
        }
        let target = layer.into_layer().wrap(BoxHandler::new(handler(upstream)));
        let response = target.call(req).await;
        let id = response.headers()[X_REQUEST_ID]
            .to_str()
            .unwrap()
            .to_owned();
        assert_eq!(response.into_body().bytes(LONGEST).await.unwrap(), id);
        id
    }

    #[tokio::test]
    async fn an_id_of_the_client_is_replaced() {
        let given = id(RequestId::new(), &["mine"]).await;
        assert_ne!(given, "mine");
        assert_eq!(given.len(), 36);
    }

    #[tokio::test]
    async fn an_id_of_a_trusted_client_is_kept() {
        let trusting = RequestId::new().trust_client();
        assert_eq!(id(trusting, &["a.B_9-z"]).await, "a.B_9-z");
    }

    #[tokio::test]
    async fn even_a_trusted_client_cannot_send_what_does_not_look_like_an_id() {
        for sent in [&["two words"][..], &[""], &["a", "b"], &["\"}"], &["a/b"]] {
            let given = id(RequestId::new().trust_client(), sent).await;
            assert_eq!(given.len(), 36, "{sent:?}");
        }
    }

    #[test]
    fn an_id_of_a_trusted_client_has_at_most_128_characters() {
        let mut headers = HeaderMap::new();
        for (length, kept) in [(LONGEST, true), (LONGEST + 1, false)] {
            let value = HeaderValue::try_from("x".repeat(length)).unwrap();
            headers.insert(X_REQUEST_ID, value);
            assert_eq!(sent(&headers).is_some(), kept);
        }
    }

    #[tokio::test]
    async fn a_layer_before_it_learns_the_id() {
        let slot = IdSlot::default();
        let mut req = Request::new(Body::empty());
        req.extensions_mut().insert(slot.clone());
        let next = Next::new(handler(upstream));
        let response = RequestId::new().handle(req, next).await;
        assert_eq!(
            response.headers()[X_REQUEST_ID],
            slot.get().unwrap().as_str()
        );
    }

    #[test]
    fn the_example_of_the_rfc_comes_out() {
        // RFC 9562, appendix A.6.
        let random = (0x0cc3 << 64) | 0x18c4_dc0c_0c07_398f;
        assert_eq!(
            std::str::from_utf8(&uuid_v7(0x017f_22e2_79b0, random)),
            Ok("017f22e2-79b0-7cc3-98c4-dc0c0c07398f")
        );
    }

    #[test]
    fn no_two_ids_are_the_same_on_any_two_threads() {
        let threads: Vec<_> = (0..4)
            .map(|_| std::thread::spawn(|| (0..1000).map(|_| fresh()).collect::<Vec<_>>()))
            .collect();
        let ids: HashSet<_> = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect();
        assert_eq!(ids.len(), 4000);
    }
}
