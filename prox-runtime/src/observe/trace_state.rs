//! The `tracestate` of a request: what the systems that a trace has passed know of it.

use http::{HeaderMap, HeaderName, HeaderValue};

const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The most entries of a list; a longer one is malformed.
const ENTRIES: usize = 32;

/// The most bytes that are passed on.
const BYTES: usize = 512;

/// Entries that are longer go first, where the list is too long.
const LONG: usize = 128;

/// Removes it: it belongs to a trace that does not go on.
pub(crate) fn remove(headers: &mut HeaderMap) {
    headers.remove(TRACESTATE);
}

/// Makes one field of it, of at most 512 bytes in whole entries, and returns its value. What is malformed is removed.
pub(crate) fn settle(headers: &mut HeaderMap) -> Option<HeaderValue> {
    let fields: Vec<&HeaderValue> = headers.get_all(TRACESTATE).iter().collect();
    let first = *fields.first()?;
    match List::of(&fields) {
        List::Good => Some(first.clone()),
        List::Written(value) => {
            headers.insert(TRACESTATE, value.clone());
            Some(value)
        }
        List::Nothing => {
            headers.remove(TRACESTATE);
            None
        }
    }
}

/// What the fields of a request are.
enum List {
    /// One field, which passes byte for byte.
    Good,
    /// More than that, written as one field.
    Written(HeaderValue),
    /// Malformed, or empty.
    Nothing,
}

impl List {
    fn of(fields: &[&HeaderValue]) -> Self {
        let Some(mut entries) = entries(fields) else {
            return Self::Nothing;
        };
        if let [only] = fields
            && only.len() <= BYTES
            && !entries.is_empty()
        {
            return Self::Good;
        }
        while length(&entries) > BYTES {
            let long = entries.iter().rposition(|entry| entry.len() > LONG);
            entries.remove(long.unwrap_or(entries.len() - 1));
        }
        if entries.is_empty() {
            return Self::Nothing;
        }
        HeaderValue::try_from(entries.join(",")).map_or(Self::Nothing, Self::Written)
    }
}

/// The length of a list with commas.
fn length(entries: &[&str]) -> usize {
    let all: usize = entries.iter().map(|entry| entry.len() + 1).sum();
    all.saturating_sub(1)
}

/// The entries of these fields, unless one of them is malformed.
fn entries<'a>(fields: &[&'a HeaderValue]) -> Option<Vec<&'a str>> {
    let mut entries: Vec<&str> = Vec::new();
    for field in fields {
        let text = std::str::from_utf8(field.as_bytes()).ok()?;
        for entry in text.split(',') {
            let entry = entry.trim_matches([' ', '\t']);
            if entry.is_empty() {
                continue;
            }
            let (key, value) = entry.split_once('=')?;
            let known = entries.iter().any(|known| key_of(known) == key);
            if known || entries.len() == ENTRIES || !is_key(key) || !is_value(value) {
                return None;
            }
            entries.push(entry);
        }
    }
    Some(entries)
}

fn key_of(entry: &str) -> &str {
    entry.split_once('=').map_or(entry, |(key, _)| key)
}

/// A name, or `tenant@system`.
fn is_key(key: &str) -> bool {
    let is_inner = |byte: u8| {
        byte.is_ascii_lowercase()
            || byte.is_ascii_digit()
            || matches!(byte, b'_' | b'-' | b'*' | b'/')
    };
    let is_part = |part: &str, most: usize, digits: bool| {
        let first = part.bytes().next();
        let begins = first
            .is_some_and(|byte| byte.is_ascii_lowercase() || (digits && byte.is_ascii_digit()));
        begins && part.len() <= most && part.bytes().all(is_inner)
    };
    match key.split_once('@') {
        None => is_part(key, 256, true),
        Some((tenant, system)) => is_part(tenant, 241, true) && is_part(system, 14, false),
    }
}

/// Visible ASCII without `,` and `=`, and spaces before the last byte.
fn is_value(value: &str) -> bool {
    let is_inner = |byte: u8| (b' '..=b'~').contains(&byte) && !matches!(byte, b',' | b'=');
    !value.is_empty() && value.len() <= 256 && !value.ends_with(' ') && value.bytes().all(is_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(fields: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(TRACESTATE, field.parse().unwrap());
        }
        let value = settle(&mut headers);
        let left: Vec<_> = headers.get_all(TRACESTATE).iter().cloned().collect();
        assert_eq!(left, value.clone().into_iter().collect::<Vec<_>>());
        value.map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn one_good_field_passes_byte_for_byte() {
        for text in ["foo=1", "foo=1 \t , \t bar=2", "foo=1,,bar=2", "t@v=a b"] {
            assert_eq!(settled(&[text]).as_deref(), Some(text));
        }
    }

    #[test]
    fn several_fields_become_one() {
        assert_eq!(
            settled(&["foo=1 ", "", "bar=2"]).as_deref(),
            Some("foo=1,bar=2")
        );
    }

    #[test]
    fn what_is_malformed_goes() {
        let many: Vec<String> = (0..33).map(|number| format!("k{number}=1")).collect();
        for text in [
            "",
            ",",
            "foo",
            "=1",
            "foo=",
            "foo=a=b",
            "FOO=1",
            "foo =1",
            "foo@=1",
            "foo@1=1",
            "a@b@c=1",
            "foo=1,foo=1",
            &many.join(","),
            &format!("{}=1", "z".repeat(257)),
        ] {
            assert_eq!(settled(&[text]), None, "{text}");
        }
        assert!(settled(&[&many[..32].join(",")]).is_some());
        assert_eq!(settled(&["foo=1", "foo=2"]), None);
    }

    #[test]
    fn a_list_that_is_too_long_loses_whole_entries_and_the_long_ones_first() {
        let long = format!("long={}", "x".repeat(200));
        let short: Vec<String> = (0..20)
            .map(|number| format!("k{number:02}={}", "y".repeat(16)))
            .collect();
        let list = format!("{},{long},{}", short[..10].join(","), short[10..].join(","));
        assert_eq!(settled(&[&list]), Some(short.join(",")));
        let longer = [short.join(","), format!("last={}", "z".repeat(120))].join(",");
        assert_eq!(settled(&[&longer]), Some(short.join(",")));
        let only = format!("a={0},b={0},c={0}", "x".repeat(250));
        assert_eq!(
            settled(&[&only]),
            Some(format!("a={0},b={0}", "x".repeat(250)))
        );
    }
}
