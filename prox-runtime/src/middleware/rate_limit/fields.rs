//! What the client is told of a limit (draft-ietf-httpapi-ratelimit-headers): items of lists, each with a name.

use std::{sync::Arc, time::Duration};

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

impl Named {
    /// Writes an item of a list as far as its first parameter. `period` tells windows of one limit apart.
    fn write(&self, text: &mut String, period: Option<Duration>) {
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push('"');
        text.push_str(&self.name.0);
        if self.place > 1 {
            text.push('-');
            push(text, self.place as u64);
        }
        if let Some(period) = period {
            text.push('-');
            push(text, seconds(period));
            text.push('s');
        }
        text.push('"');
    }
}

/// Writes what is left in each window.
///
/// `Retry-After` is not among the fields, since it belongs to a refusal.
pub(super) fn add(headers: &mut HeaderMap, name: &Named, asked: &Asked, view: &View) {
    // Enough for one window and a short name, so that most requests allocate once for each field.
    let mut policies = String::with_capacity(64);
    let mut left = String::with_capacity(64);
    let several = view.windows(asked).count() > 1;
    for window in view.windows(asked) {
        let period = several.then_some(window.period);
        for (text, [first, second], [one, other]) in [
            (
                &mut policies,
                [";q=", ";w="],
                [window.size, seconds(window.fills)],
            ),
            (
                &mut left,
                [";r=", ";t="],
                [window.left, seconds(window.next)],
            ),
        ] {
            name.write(text, period);
            text.push_str(first);
            push(text, one);
            text.push_str(second);
            push(text, other);
        }
    }
    join(headers, RATE_LIMIT_POLICY, policies);
    join(headers, RATE_LIMIT, left);
}

/// Writes a number without the machinery of formatting, which costs more than the rest of a field.
fn push(text: &mut String, mut number: u64) {
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
    text.extend(digits.iter().skip(start).map(|digit| char::from(*digit)));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_they_are_elsewhere() {
        for number in [0, 1, 9, 10, 99, 100, 12_345, u64::from(u32::MAX), u64::MAX] {
            let mut text = String::new();
            push(&mut text, number);
            assert_eq!(text, number.to_string());
        }
    }
}
