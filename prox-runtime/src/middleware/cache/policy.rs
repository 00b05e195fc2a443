//! Which responses may be stored, and for how long they may be used (RFC 9111 and RFC 5861): pure functions of the messages and the
//! time.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, StatusCode, header};

use super::directives::{Directives, seconds};
use crate::middleware::fields;

/// For how long a response may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    /// How old it was when it arrived.
    pub(crate) age: Duration,
    /// Up to this age it is fresh.
    pub(crate) fresh: Duration,
    /// For this long after, it may be used while it is asked for again.
    pub(crate) while_revalidating: Duration,
    /// For this long after, it may be used in place of an error.
    pub(crate) if_error: Duration,
    /// The fields of requests that it depends on.
    pub(crate) vary: Vec<HeaderName>,
}

/// What the layer says where a response says nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Defaults {
    pub(crate) fresh: Option<Duration>,
    pub(crate) while_revalidating: Duration,
    pub(crate) if_error: Duration,
}

/// Why a response is not stored, in a word for `Cache-Status`.
pub(crate) type Why = &'static str;

/// Whether a cache that many share may store a response to a `GET`; `authorized` says whether the request had `Authorization`.
///
/// # Errors
///
/// Why it may not.
pub(crate) fn judge(
    status: StatusCode,
    headers: &HeaderMap,
    authorized: bool,
    defaults: Defaults,
    now: SystemTime,
) -> Result<Policy, Why> {
    if !matches!(status.as_u16(), 200 | 203 | 204 | 301 | 308 | 404 | 410) {
        return Err("status");
    }
    let said = Directives::of(headers).map_err(|_| "malformed")?;
    if said.no_store {
        return Err("no-store");
    }
    if said.private {
        return Err("private");
    }
    if said.no_cache {
        return Err("no-cache");
    }
    if headers.contains_key(header::SET_COOKIE) {
        return Err("set-cookie");
    }
    if headers.contains_key(header::CONTENT_RANGE) {
        return Err("range");
    }
    if is_events(headers) {
        return Err("events");
    }
    if authorized && !(said.public || said.s_maxage.is_some() || said.must_revalidate) {
        return Err("authorization");
    }
    let vary = varies(headers).ok_or("vary")?;
    let date = date(headers, header::DATE);
    let fresh = said.s_maxage.or(said.max_age).map(Duration::from_secs);
    let fresh = fresh
        .or_else(|| expires(headers, date.unwrap_or(now)))
        .or(defaults.fresh)
        .ok_or("no-freshness")?;
    // How old it is by its own word, and by the difference of two clocks (RFC 9111, 4.2.3).
    let own = headers.get(header::AGE);
    let own = own.and_then(|age| seconds(age.as_bytes())).unwrap_or(0);
    let apparent = date.and_then(|date| now.duration_since(date).ok());
    let age = Duration::from_secs(own).max(apparent.unwrap_or_default());
    let never = said.must_revalidate || said.proxy_revalidate;
    let stale = |own: Option<u64>, default: Duration| {
        if never {
            return Duration::ZERO;
        }
        own.map_or(default, Duration::from_secs)
    };
    let policy = Policy {
        age,
        fresh,
        while_revalidating: stale(said.stale_while_revalidate, defaults.while_revalidating),
        if_error: stale(said.stale_if_error, defaults.if_error),
        vary,
    };
    // A response that nothing but an error could bring back would be asked for by one request after the other.
    if policy.age >= policy.fresh + policy.while_revalidating {
        return Err("stale");
    }
    Ok(policy)
}

impl Policy {
    /// How old the response is, so long after it arrived.
    pub(crate) fn age(&self, resident: Duration) -> Duration {
        self.age.saturating_add(resident)
    }

    /// For how long it is fresh from now on, in seconds; for how long it has been stale, below 0.
    pub(crate) fn ttl(&self, resident: Duration) -> i64 {
        let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        seconds(self.fresh) - seconds(self.age(resident))
    }

    pub(crate) fn is_fresh(&self, resident: Duration) -> bool {
        self.age(resident) < self.fresh
    }

    /// Whether it may be used while it is asked for again.
    pub(crate) fn serves_while_revalidating(&self, resident: Duration) -> bool {
        self.age(resident) < self.fresh + self.while_revalidating
    }

    /// Whether it may be used in place of an error.
    pub(crate) fn serves_if_error(&self, resident: Duration) -> bool {
        self.age(resident) < self.fresh + self.if_error
    }
}

/// What a client asks of a stored response.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wish(Directives);

impl Wish {
    /// Reads the fields of a request. A client may ask for a fresher response, and never for a staler one. What is malformed asks
    /// for nothing.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut said = Directives::of(headers).unwrap_or_default();
        if !headers.contains_key(header::CACHE_CONTROL) {
            let pragma = headers.get_all(header::PRAGMA).iter();
            let mut pragma = pragma.flat_map(fields::tokens);
            said.no_cache = pragma.any(|word| word.eq_ignore_ascii_case(b"no-cache"));
        }
        Self(said)
    }

    /// Whether nothing of the exchange may be stored.
    pub(crate) fn no_store(self) -> bool {
        self.0.no_store
    }

    /// Whether a response that is fresh, or that may be used while it is asked for again, is what the client wants.
    pub(crate) fn takes(self, policy: &Policy, resident: Duration) -> bool {
        let (age, said) = (policy.age(resident), self.0);
        let left = policy.fresh.saturating_sub(age);
        !said.no_cache
            && said
                .max_age
                .is_none_or(|most| age <= Duration::from_secs(most) && most > 0)
            && said
                .min_fresh
                .is_none_or(|least| left >= Duration::from_secs(least))
    }
}

/// The fields that a response depends on; nothing if it depends on more than fields, or on what has no name.
fn varies(headers: &HeaderMap) -> Option<Vec<HeaderName>> {
    let names = headers
        .get_all(header::VARY)
        .iter()
        .flat_map(fields::tokens);
    let mut vary = Vec::new();
    for name in names {
        if name == b"*" {
            return None;
        }
        let name = HeaderName::from_bytes(name).ok()?;
        if !vary.contains(&name) {
            vary.push(name);
        }
    }
    Some(vary)
}

/// The freshness by `Expires`. A malformed date has passed (RFC 9111, 5.3), and so have two of them.
fn expires(headers: &HeaderMap, date: SystemTime) -> Option<Duration> {
    headers.get(header::EXPIRES)?;
    let expires = self::date(headers, header::EXPIRES);
    let fresh = expires.and_then(|expires| expires.duration_since(date).ok());
    Some(fresh.unwrap_or_default())
}

/// The date of a field that is there once.
pub(crate) fn date(headers: &HeaderMap, name: HeaderName) -> Option<SystemTime> {
    let value = fields::only(headers, name)?;
    httpdate::parse_http_date(value.to_str().ok()?).ok()
}

/// Whether the body is a stream of events, which does not end.
fn is_events(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| has_events(kind.as_bytes()))
}

/// Whether a field names the type of server-sent events.
pub(crate) fn has_events(text: &[u8]) -> bool {
    const EVENTS: &[u8] = b"text/event-stream";
    text.windows(EVENTS.len())
        .any(|part| part.eq_ignore_ascii_case(EVENTS))
}
