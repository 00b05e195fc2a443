//! What the client is told of a limit (draft-ietf-httpapi-ratelimit-headers): items of lists, each with a name.

use std::{fmt, sync::Arc, time::Duration};

use governor::Quota;
use http::{
    Extensions, HeaderMap, HeaderName, HeaderValue,
    header::{self, Entry},
};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The name of a limit, as it is written inside of quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name(Arc<str>);

impl Default for Name {
    fn default() -> Self {
        Self("default".into())
    }
}

impl Name {
    /// A string of structured fields (RFC 9651, 3.3.3) has printable ASCII only, and two characters are escaped.
    pub(super) fn new(name: &str) -> Self {
        let mut escaped = String::with_capacity(name.len());
        for c in name.chars().filter(|c| matches!(c, ' '..='~')) {
            if matches!(c, '"' | '\\') {
                escaped.push('\\');
            }
            escaped.push(c);
        }
        Self(escaped.into())
    }
}

/// The limits around a request so far, the outermost first.
#[derive(Clone, Debug, Default)]
struct Above(Vec<Name>);

/// The name that a limit has in the chain of one request: no other limit of that chain has it.
#[derive(Debug)]
pub(super) struct Named {
    name: Name,
    /// The place among the limits of the same name, from 1 on.
    place: usize,
}

impl Named {
    /// Takes the name for this limit. The order of layers is that of the route, so the same limit always has the same one,
    /// whichever of them refuses.
    pub(super) fn take(name: &Name, extensions: &mut Extensions) -> Self {
        let above = &mut extensions.get_or_insert_default::<Above>().0;
        let place = 1 + above.iter().filter(|other| *other == name).count();
        above.push(name.clone());
        Self {
            name: name.clone(),
            place,
        }
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, place } = self;
        match place {
            1 => write!(f, "\"{}\"", name.0),
            _ => write!(f, "\"{}-{place}\"", name.0),
        }
    }
}

/// What does not change from one response to the next.
#[derive(Clone, Debug)]
pub(super) struct Fields {
    burst: u32,
    /// How long an empty bucket takes to fill, in seconds.
    fills: u64,
    /// How long it takes at most until there is one request more, in seconds.
    next: u64,
}

impl Fields {
    pub(super) fn of(quota: Option<Quota>, window: Duration) -> Self {
        let (burst, fills, next) = match quota {
            Some(quota) => {
                let interval = quota.replenish_interval();
                let burst = quota.burst_size().get();
                (burst, interval.saturating_mul(burst), interval)
            }
            None => (0, window, window),
        };
        Self {
            burst,
            fills: seconds(fills),
            next: seconds(next),
        }
    }

    pub(super) fn allowed(&self, name: &Named, headers: &mut HeaderMap, left: u32) {
        self.add(name, headers, left, self.next);
    }

    pub(super) fn refused(&self, name: &Named, headers: &mut HeaderMap, wait: Duration) {
        let wait = seconds(wait);
        headers.insert(header::RETRY_AFTER, HeaderValue::from(wait));
        self.add(name, headers, 0, wait);
    }

    fn add(&self, name: &Named, headers: &mut HeaderMap, left: u32, next: u64) {
        let Self { burst, fills, .. } = self;
        let policy = format!("{name};q={burst};w={fills}");
        join(headers, RATE_LIMIT_POLICY, policy);
        join(headers, RATE_LIMIT, format!("{name};r={left};t={next}"));
    }
}

/// Puts an item in front of a list. Its other items belong to limits further inside, or to the upstream.
///
/// An upstream may write the fields as older drafts have them, without names. Such a field is kept as it is.
fn join(headers: &mut HeaderMap, name: HeaderName, mut item: String) {
    match headers.entry(name) {
        Entry::Vacant(place) => {
            place.insert(value(item));
        }
        Entry::Occupied(mut list) => match list.get_mut() {
            first if first.as_bytes().starts_with(b"\"") && first.to_str().is_ok() => {
                item.push_str(", ");
                item.push_str(first.to_str().unwrap_or_default());
                *first = value(item);
            }
            _ => list.append(value(item)),
        },
    }
}

/// Whole seconds, rounded up, and at least one.
fn seconds(time: Duration) -> u64 {
    let more = u64::from(time.subsec_nanos() > 0);
    (time.as_secs() + more).max(1)
}

fn value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("printable ASCII is a header's value")
}
