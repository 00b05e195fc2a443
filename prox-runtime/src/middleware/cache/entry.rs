//! A response that is stored.

use std::{sync::Mutex, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use tokio::time::Instant;

use super::{
    conditions,
    policy::{Policy, Wish},
};
use crate::{body::Body, handler::Response, sync::lock};

/// After an error of the upstream, a stored response takes its place for so long without another question.
const AFTER_ERROR: Duration = Duration::from_secs(5);

/// What every entry, and each of its fields, are taken to need beside their bytes.
const OVERHEAD: usize = 256;
const OF_FIELD: usize = 160;

/// The fields of a stored response that a `304` does not change: they are about the bytes of the body (RFC 9111, 3.2).
const OF_BODY: [HeaderName; 4] = [
    header::CONTENT_LENGTH,
    header::CONTENT_ENCODING,
    header::CONTENT_RANGE,
    header::TRANSFER_ENCODING,
];

/// The fields that a `304` has not: the client has the body that they describe.
const NOT_IN_304: [HeaderName; 5] = [
    header::CONTENT_LENGTH,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_TYPE,
    header::LAST_MODIFIED,
];

#[derive(Debug)]
pub(crate) struct Entry {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    policy: Policy,
    stored: Instant,
    /// When the upstream failed last.
    failed: Mutex<Option<Instant>>,
}

impl Entry {
    /// A response that arrived at `now`.
    pub(crate) fn new(
        status: StatusCode,
        headers: &HeaderMap,
        body: Bytes,
        policy: Policy,
        now: Instant,
    ) -> Self {
        Self {
            status,
            headers: copied(headers),
            body,
            policy,
            stored: now,
            failed: Mutex::default(),
        }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    pub(crate) fn body(&self) -> Bytes {
        self.body.clone()
    }

    /// The memory that it takes.
    pub(crate) fn size(&self) -> usize {
        let fields = self.headers.iter();
        let fields = fields.map(|(name, value)| name.as_str().len() + value.len() + OF_FIELD);
        OVERHEAD + size_of::<Self>() + fields.sum::<usize>() + self.body.len()
    }

    fn resident(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.stored)
    }

    /// See [`is_for`].
    pub(crate) fn is_for(&self, headers: &HeaderMap, lean: &HeaderMap) -> bool {
        is_for(&self.policy, headers, lean)
    }

    pub(crate) fn is_fresh(&self, now: Instant) -> bool {
        self.policy.is_fresh(self.resident(now))
    }

    /// Whether it is what a client wants now.
    pub(crate) fn is_wanted(&self, wish: Wish, now: Instant) -> bool {
        wish.takes(&self.policy, self.resident(now))
    }

    pub(crate) fn serves_while_revalidating(&self, now: Instant) -> bool {
        self.policy.serves_while_revalidating(self.resident(now))
    }

    pub(crate) fn serves_if_error(&self, now: Instant) -> bool {
        self.policy.serves_if_error(self.resident(now))
    }

    /// Whether the upstream failed a moment ago.
    pub(crate) fn has_failed(&self, now: Instant) -> bool {
        let failed = *lock(&self.failed);
        failed.is_some_and(|failed| now < failed + AFTER_ERROR)
    }

    /// The upstream has failed.
    pub(crate) fn fails(&self, now: Instant) {
        *lock(&self.failed) = Some(now);
    }

    /// For how long it is fresh, in seconds.
    pub(crate) fn ttl(&self, now: Instant) -> i64 {
        self.policy.ttl(self.resident(now))
    }

    /// The fields that it has after a `304` with these.
    pub(crate) fn updated(&self, fields: &HeaderMap) -> HeaderMap {
        let mut headers = self.headers.clone();
        for name in fields.keys().filter(|name| !OF_BODY.contains(name)) {
            headers.remove(name);
            for value in fields.get_all(name) {
                headers.append(name.clone(), value.clone());
            }
        }
        headers
    }

    /// The answer to a request: the response, or a `304` if the client has it already.
    pub(crate) fn answer(&self, asked: &HeaderMap, now: Instant) -> Response {
        let seconds = self.policy.age(self.resident(now)).as_secs();
        let mut response = answer(asked, self.status, self.headers.clone(), || {
            Body::from(self.body.clone())
        });
        response
            .headers_mut()
            .insert(header::AGE, HeaderValue::from(seconds));
        response
    }
}

/// The fields of a response in memory of their own, without its age. As they come they share the buffer that they were read into,
/// which is far larger.
fn copied(headers: &HeaderMap) -> HeaderMap {
    let fields = headers.iter().filter(|(name, _)| *name != header::AGE);
    let copies = fields.filter_map(|(name, value)| {
        let name = HeaderName::from_bytes(name.as_str().as_bytes()).ok()?;
        Some((name, HeaderValue::from_bytes(value.as_bytes()).ok()?))
    });
    copies.collect()
}

/// Whether a response with this policy is for a request with these fields, of which the upstream got the lean ones: it is not if it
/// depends on a field that the request has and the upstream did not get.
pub(crate) fn is_for(policy: &Policy, headers: &HeaderMap, lean: &HeaderMap) -> bool {
    let untold = |name: &HeaderName| headers.contains_key(name) && !lean.contains_key(name);
    !policy.vary.iter().any(untold)
}

/// A response, or the `304` for a client that has it already.
pub(crate) fn answer(
    asked: &HeaderMap,
    status: StatusCode,
    mut headers: HeaderMap,
    body: impl FnOnce() -> Body,
) -> Response {
    let same = status == StatusCode::OK && conditions::has_already(asked, &headers);
    if same {
        for name in &NOT_IN_304 {
            headers.remove(name);
        }
    }
    let mut response = Response::new(if same { Body::empty() } else { body() });
    *response.status_mut() = if same {
        StatusCode::NOT_MODIFIED
    } else {
        status
    };
    *response.headers_mut() = headers;
    response
}
