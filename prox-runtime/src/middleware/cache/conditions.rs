//! Conditional requests (RFC 9110, 13): what a client has already, and what the upstream is asked.

use http::{HeaderMap, header};

use super::policy::date;
use crate::middleware::fields;

/// Whether a client has the stored response already, so that it gets a `304`.
///
/// `If-None-Match` comes first, and then `If-Modified-Since` does not count (RFC 9110, 13.2.2).
pub(crate) fn has_already(asked: &HeaderMap, stored: &HeaderMap) -> bool {
    let mut tags = asked.get_all(header::IF_NONE_MATCH).iter().peekable();
    if tags.peek().is_some() {
        let Some(own) = stored
            .get(header::ETAG)
            .and_then(|tag| opaque(tag.as_bytes()))
        else {
            return false;
        };
        return tags.any(|list| matches(list.as_bytes(), own));
    }
    let since = date(asked, header::IF_MODIFIED_SINCE);
    let modified = date(stored, header::LAST_MODIFIED);
    matches!((since, modified), (Some(since), Some(modified)) if modified <= since)
}

/// Writes the validators of a stored response into a request for it; whether it has one.
pub(crate) fn revalidate(request: &mut HeaderMap, stored: &HeaderMap) -> bool {
    let tag = fields::only(stored, header::ETAG).filter(|tag| opaque(tag.as_bytes()).is_some());
    let modified = fields::only(stored, header::LAST_MODIFIED);
    let any = tag.is_some() || modified.is_some();
    let tag = tag.map(|tag| (header::IF_NONE_MATCH, tag));
    let modified = modified.map(|date| (header::IF_MODIFIED_SINCE, date));
    request.extend(
        tag.into_iter()
            .chain(modified)
            .map(|(name, value)| (name, value.clone())),
    );
    any
}

/// Whether a `304` is about the stored response (RFC 9111, 4.3.4).
pub(crate) fn is_about(answer: &HeaderMap, stored: &HeaderMap) -> bool {
    let tag = |headers: &HeaderMap| {
        let tag = headers.get(header::ETAG);
        tag.map(|tag| opaque(tag.as_bytes()).map(<[u8]>::to_vec))
    };
    match (tag(answer), tag(stored)) {
        (Some(new), Some(old)) => new.is_some() && new == old,
        (Some(_), None) => false,
        (None, _) => match answer.get(header::LAST_MODIFIED) {
            Some(new) => stored.get(header::LAST_MODIFIED) == Some(new),
            None => true,
        },
    }
}

/// The text in the quotes of an entity tag, weak or strong.
fn opaque(tag: &[u8]) -> Option<&[u8]> {
    let tag = tag.strip_prefix(b"W/").unwrap_or(tag);
    let inner = tag.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    (!inner.contains(&b'"')).then_some(inner)
}

/// Whether a list of entity tags has this one, or is `*`. What is malformed ends the list.
fn matches(list: &[u8], own: &[u8]) -> bool {
    let mut rest = list.trim_ascii();
    if rest == b"*" {
        return true;
    }
    loop {
        while let [b',' | b' ' | b'\t', more @ ..] = rest {
            rest = more;
        }
        rest = rest.strip_prefix(b"W/").unwrap_or(rest);
        let Some(inner) = rest.strip_prefix(b"\"") else {
            return false;
        };
        let Some(end) = inner.iter().position(|byte| *byte == b'"') else {
            return false;
        };
        let (tag, more) = inner.split_at(end);
        if tag == own {
            return true;
        }
        rest = more.strip_prefix(b"\"").unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn fields(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let fields = fields.iter();
        let fields = fields.map(|(name, value)| {
            let name = header::HeaderName::from_static(name);
            (name, HeaderValue::from_static(value))
        });
        fields.collect()
    }

    #[test]
    fn a_client_has_what_its_validators_say() {
        const OLD: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
        let stored = fields(&[("etag", "W/\"a\""), ("last-modified", OLD)]);
        for (name, value, has) in [
            ("if-none-match", "\"a\"", true),
            ("if-none-match", "W/\"a\"", true),
            ("if-none-match", "\"b\", W/\"c,\" ,\"a\"", true),
            ("if-none-match", " * ", true),
            ("if-none-match", "\"b\"", false),
            ("if-none-match", "a", false),
            ("if-none-match", "\"b\" a \"a\"", false),
            ("if-none-match", "\"a", false),
            ("if-none-match", "", false),
            ("if-modified-since", OLD, true),
            ("if-modified-since", "Sunday, 06-Nov-94 08:49:38 GMT", true),
            ("if-modified-since", "Sun Nov  6 08:49:36 1994", false),
            ("if-modified-since", "yesterday", false),
        ] {
            let asked = fields(&[(name, value)]);
            assert_eq!(has_already(&asked, &stored), has, "{name}: {value}");
        }
        // The tag decides alone where both are there.
        let both = fields(&[("if-none-match", "\"b\""), ("if-modified-since", OLD)]);
        assert!(!has_already(&both, &stored));
        assert!(!has_already(
            &fields(&[("if-none-match", "*")]),
            &fields(&[])
        ));
        assert!(!has_already(&fields(&[]), &stored));
    }

    #[test]
    fn an_upstream_is_asked_with_the_validators_that_there_are() {
        for (stored, asked) in [
            (
                fields(&[("etag", "\"a\"")]),
                fields(&[("if-none-match", "\"a\"")]),
            ),
            (
                fields(&[("etag", "\"a\""), ("last-modified", "x")]),
                fields(&[("if-none-match", "\"a\""), ("if-modified-since", "x")]),
            ),
            (fields(&[("etag", "a")]), fields(&[])),
            (fields(&[("etag", "\"a\""), ("etag", "\"b\"")]), fields(&[])),
        ] {
            let mut request = HeaderMap::new();
            assert_eq!(revalidate(&mut request, &stored), !asked.is_empty());
            assert_eq!(request, asked);
        }
    }

    #[test]
    fn a_304_is_about_the_response_whose_validators_it_has() {
        let stored = fields(&[("etag", "\"a\""), ("last-modified", "x")]);
        for (answer, about) in [
            (fields(&[]), true),
            (fields(&[("etag", "\"a\"")]), true),
            (fields(&[("etag", "W/\"a\"")]), true),
            (fields(&[("etag", "\"b\"")]), false),
            (fields(&[("etag", "a")]), false),
            (fields(&[("last-modified", "x")]), true),
            (fields(&[("last-modified", "y")]), false),
        ] {
            assert_eq!(is_about(&answer, &stored), about, "{answer:?}");
        }
        assert!(!is_about(&fields(&[("etag", "\"a\"")]), &fields(&[])));
    }
}
