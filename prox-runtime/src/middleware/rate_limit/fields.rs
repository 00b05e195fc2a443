//! What the client is told of a limit (draft-ietf-httpapi-ratelimit-headers): items of lists, each with a name.

use std::{
    fmt::{self, Write},
    sync::Arc,
    time::Duration,
};

use http::{
    Extensions, HeaderMap, HeaderName, HeaderValue,
    header::{self, Entry},
};

use super::verdict::{Asked, View};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LEGACY_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const LEGACY_LEFT: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const LEGACY_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// The name of a limit, as it is written inside of quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name(Arc<str>);

#[cfg(feature = "redis")]
impl Name {
    pub(super) fn text(&self) -> &str {
        &self.0
    }

    /// Whether it has no characters that are printable.
    pub(super) fn is_default(&self) -> bool {
        matches!(&*self.0, "" | "default")
    }
}

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
            1 => f.write_str(&name.0),
            _ => write!(f, "{}-{place}", name.0),
        }
    }
}

/// Writes what is left in each window.
///
/// `Retry-After` is not among the fields, since it belongs to a refusal.
pub(super) fn add(headers: &mut HeaderMap, name: &Named, asked: &Asked, view: &View) {
    let (mut policies, mut left) = (String::new(), String::new());
    let several = view.windows(asked).count() > 1;
    for window in view.windows(asked) {
        if !policies.is_empty() {
            policies.push_str(", ");
            left.push_str(", ");
        }
        for text in [&mut policies, &mut left] {
            let _ = if several {
                write!(text, "\"{name}-{}s\"", seconds(window.period))
            } else {
                write!(text, "\"{name}\"")
            };
        }
        let _ = write!(policies, ";q={};w={}", window.size, seconds(window.fills));
        let _ = write!(left, ";r={};t={}", window.left, seconds(window.next));
    }
    join(headers, RATE_LIMIT_POLICY, policies);
    join(headers, RATE_LIMIT, left);
}

/// Writes what is left in the emptiest window, as it was done before there was a draft. Fields of an upstream are replaced.
pub(super) fn add_legacy(headers: &mut HeaderMap, asked: &Asked, view: &View) {
    let Some(window) = view.windows(asked).min_by_key(|window| window.left) else {
        return;
    };
    headers.insert(LEGACY_LIMIT, HeaderValue::from(window.size));
    headers.insert(LEGACY_LEFT, HeaderValue::from(window.left));
    headers.insert(LEGACY_RESET, HeaderValue::from(seconds(window.next)));
}

/// Says when to come back.
pub(super) fn retry_after(headers: &mut HeaderMap, wait: Duration) {
    headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds(wait)));
}

/// Puts items in front of a list. Its other items belong to limits further inside, or to the upstream.
///
/// An upstream may write the fields as older drafts have them, without names. Such a field is kept as it is.
fn join(headers: &mut HeaderMap, name: HeaderName, mut items: String) {
    match headers.entry(name) {
        Entry::Vacant(place) => {
            place.insert(value(items));
        }
        Entry::Occupied(mut list) => match list.get_mut() {
            first if first.as_bytes().starts_with(b"\"") && first.to_str().is_ok() => {
                items.push_str(", ");
                items.push_str(first.to_str().unwrap_or_default());
                *first = value(items);
            }
            _ => list.append(value(items)),
        },
    }
}

/// Whole seconds, rounded up, and at least one. A millisecond more is of the rounding of ticks.
fn seconds(time: Duration) -> u64 {
    let more = u64::from(time.subsec_millis() > 0);
    (time.as_secs() + more).max(1)
}

fn value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("printable ASCII is a header's value")
}
