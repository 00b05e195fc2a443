//! What the client is told of a limit (draft-ietf-httpapi-ratelimit-headers): items of lists, each with a name.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    Extensions, HeaderMap, HeaderName, HeaderValue,
    header::{self, Entry},
};

use super::verdict::Told;
use crate::limits::Bucket;

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LEGACY_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const LEGACY_LEFT: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const LEGACY_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// The name of a limit, as it is written inside of quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name(Arc<str>);

impl Name {
    pub(super) fn text(&self) -> &str {
        &self.0
    }

    /// Whether it has no characters that are printable.
    #[cfg(feature = "redis")]
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
#[derive(Clone, Copy, Debug)]
pub(super) struct Named<'a> {
    pub(super) name: &'a Name,
    /// The place among the limits of the same name, from 1 on.
    pub(super) place: usize,
}

impl<'a> Named<'a> {
    /// Takes the name for this limit. The order of layers is that of the route, so the same limit always has the same one,
    /// whichever of them refuses.
    pub(super) fn take(name: &'a Name, extensions: &mut Extensions) -> Self {
        let place = 1 + above(name, extensions);
        pass_on(name, extensions);
        Self { name, place }
    }
}

/// How many limits of this name are around a request.
pub(super) fn above(name: &Name, extensions: &Extensions) -> usize {
    let above = extensions.get::<Above>().map_or(&[][..], |above| &above.0);
    above.iter().filter(|other| *other == name).count()
}

/// Whether there are limits around a request.
pub(in crate::middleware) fn limits_above(extensions: &Extensions) -> bool {
    extensions.get::<Above>().is_some()
}

/// Tells the limits further in of this one.
pub(super) fn pass_on(name: &Name, extensions: &mut Extensions) {
    let above = extensions.get_or_insert_default::<Above>();
    above.0.push(name.clone());
}

impl Named<'_> {
    /// Writes an item of a list as far as its first parameter. `period` tells windows of one limit apart.
    fn write(&self, text: &mut Vec<u8>, period: Option<Duration>) {
        text.push(b'"');
        text.extend(self.name.0.as_bytes());
        if self.place > 1 {
            text.push(b'-');
            push(text, self.place as u64);
        }
        if let Some(period) = period {
            text.push(b'-');
            push(text, seconds(period));
            text.push(b's');
        }
        text.push(b'"');
    }
}

/// Enough for one window and a short name.
const ITEM: usize = 64;

/// Behind this is the first number of an item of `RateLimit`.
const LEFT: &[u8] = b";r=";

/// What is written of a limit and is the same for each request.
#[derive(Clone, Debug)]
pub(super) struct Labels {
    /// What each window allows.
    policy: HeaderValue,
    /// What stands before the numbers of each window.
    windows: Box<[Box<[u8]>]>,
}

impl Labels {
    /// Those of a limit of this name with these buckets.
    pub(super) fn new(name: Named<'_>, buckets: &[Bucket]) -> Self {
        let several = buckets.len() > 1;
        let mut policy = Vec::with_capacity(ITEM);
        let windows = buckets.iter().map(|bucket| {
            let mut label = Vec::new();
            name.write(&mut label, several.then_some(bucket.period));
            separate(&mut policy);
            policy.extend(&label);
            policy.extend(b";q=");
            push(&mut policy, bucket.size);
            policy.extend(b";w=");
            push(&mut policy, seconds(bucket.fills));
            label.extend(LEFT);
            label.into_boxed_slice()
        });
        Self {
            windows: windows.collect(),
            policy: value(policy),
        }
    }

    /// What each window allows.
    pub(super) fn policy(&self) -> HeaderValue {
        self.policy.clone()
    }

    /// What is left in each window.
    pub(super) fn left(&self, told: Told<'_>) -> HeaderValue {
        let mut text = Vec::with_capacity(ITEM);
        self.write_left(&mut text, told);
        value(text)
    }

    /// Writes what is left in each window behind the items of limits before it.
    pub(super) fn write_left(&self, text: &mut Vec<u8>, told: Told<'_>) {
        for (label, level) in self.windows.iter().zip(told.levels()) {
            separate(text);
            text.extend_from_slice(label);
            push(text, level.left);
            text.extend_from_slice(b";t=");
            push(text, seconds(level.next));
        }
    }
}

/// Separates an item from those before it.
fn separate(text: &mut Vec<u8>) {
    if !text.is_empty() {
        text.extend_from_slice(b", ");
    }
}

/// Writes what each window allows, and what is left in it.
///
/// `Retry-After` is not among the fields, since it belongs to a refusal.
pub(super) fn add(headers: &mut HeaderMap, policy: HeaderValue, left: HeaderValue) {
    join(headers, RATE_LIMIT_POLICY, policy);
    join(headers, RATE_LIMIT, left);
}

/// Writes what several limits have told together.
pub(in crate::middleware) fn tell_limits(
    headers: &mut HeaderMap,
    policies: HeaderValue,
    left: Vec<u8>,
) {
    add(headers, policies, value(left));
}

/// Writes a number without the machinery of formatting, which costs more than the rest of a field.
fn push(text: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
        start -= 1;
        if number == 0 {
            break;
        }
    }
    text.extend(digits.get(start..).unwrap_or_default());
}

/// Writes what is left in the emptiest window, as it was done before there was a draft. Fields of an upstream are replaced.
pub(super) fn add_legacy(headers: &mut HeaderMap, told: Told<'_>) {
    let Some(window) = told.levels().min_by_key(|window| window.left) else {
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
fn join(headers: &mut HeaderMap, name: HeaderName, items: HeaderValue) {
    match headers.entry(name) {
        Entry::Vacant(place) => {
            place.insert(items);
        }
        Entry::Occupied(mut list) => match list.get_mut() {
            first if first.as_bytes().starts_with(b"\"") && first.to_str().is_ok() => {
                *first = value([items.as_bytes(), b", ", first.as_bytes()].concat());
            }
            _ => list.append(items),
        },
    }
}

/// Whole seconds, rounded up, and at least one. A millisecond more is of the rounding of ticks.
fn seconds(time: Duration) -> u64 {
    let more = u64::from(time.subsec_millis() > 0);
    (time.as_secs() + more).max(1)
}

fn value(text: Vec<u8>) -> HeaderValue {
    HeaderValue::from_maybe_shared(Bytes::from(text)).expect("printable ASCII is a header's value")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_they_are_elsewhere() {
        for number in [0, 1, 9, 10, 99, 100, 12_345, u64::from(u32::MAX), u64::MAX] {
            let mut text = Vec::new();
            push(&mut text, number);
            assert_eq!(text, number.to_string().as_bytes());
        }
    }
}
