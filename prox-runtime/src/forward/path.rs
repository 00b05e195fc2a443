//! The canonical path: one form of it serves matching, limits and forwarding (RFC 3986, 6.2.2).

use std::borrow::Cow;

use crate::{coding, error::Failure};

/// Makes the canonical form of a request's path, borrowed when it is canonical already.
///
/// Unreserved characters are decoded, other escapes written in upper case, raw bytes outside of ASCII encoded, and dot
/// segments resolved. Empty segments stay as they are.
///
/// # Errors
///
/// [`Failure::MalformedRequest`] for what two readers could understand in two ways: an encoded slash, backslash or
/// NUL, a raw backslash, a control byte, an escape that is none, or `..` above the root; and for a path without a
/// leading `/`.
#[allow(dead_code, reason = "tests and fuzzers read a path by it")]
pub(crate) fn canonical(path: &str) -> Result<Cow<'_, str>, Failure> {
    match with_slashes(path)? {
        (path, false) => Ok(path),
        (_, true) => Err(Failure::MalformedRequest),
    }
}

/// The same for a route that may take encoded slashes: they stay as they are, and whether there are any is said beside.
///
/// # Errors
///
/// As for [`canonical`]; and for dot segments next to an encoded slash, since whoever decodes it would resolve them.
pub(crate) fn with_slashes(path: &str) -> Result<(Cow<'_, str>, bool), Failure> {
    if !path.starts_with('/') {
        return Err(Failure::MalformedRequest);
    }
    match look(path.as_bytes())? {
        Look::Canonical => Ok((Cow::Borrowed(path), false)),
        Look::Rewrite => {
            let (decoded, slashes) = decode(path.as_bytes())?;
            let path = resolve(&decoded)?;
            if slashes && path.split('/').any(hides_dots) {
                return Err(Failure::MalformedRequest);
            }
            Ok((Cow::Owned(path), slashes))
        }
    }
}

fn hides_dots(segment: &str) -> bool {
    segment.contains("%2F") && segment.split("%2F").any(|part| matches!(part, "." | ".."))
}

enum Look {
    Canonical,
    Rewrite,
}

/// One pass over the bytes that tells whether anything has to be done at all.
fn look(path: &[u8]) -> Result<Look, Failure> {
    if path
        .iter()
        .fold(true, |plain, &byte| plain & PLAIN[byte as usize])
    {
        return Ok(Look::Canonical);
    }
    let mut previous = 0;
    let mut rewrite = false;
    for &byte in path {
        match byte {
            b'\\' | 0..=0x20 | 0x7f => return Err(Failure::MalformedRequest),
            b'%' | 0x80.. => rewrite = true,
            b'.' if previous == b'/' => rewrite = true,
            _ => {}
        }
        previous = byte;
    }
    Ok(if rewrite {
        Look::Rewrite
    } else {
        Look::Canonical
    })
}

/// The bytes that mean nothing else wherever they stand.
static PLAIN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = b' ' + 1;
    while byte < 0x7f {
        table[byte as usize] = !matches!(byte, b'\\' | b'%' | b'.');
        byte += 1;
    }
    table
};

/// Decodes what need not be encoded, and says whether a slash was.
fn decode(path: &[u8]) -> Result<(Vec<u8>, bool), Failure> {
    let mut out = Vec::with_capacity(path.len());
    let mut slashes = false;
    let mut bytes = path.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b'%' => {
                let (high, low) = (bytes.next(), bytes.next());
                let pair = high.zip(low);
                let Some(byte) = pair.and_then(|(&high, &low)| coding::byte(high, low)) else {
                    return Err(Failure::MalformedRequest);
                };
                match byte {
                    b'\\' | 0 => return Err(Failure::MalformedRequest),
                    b'/' => {
                        slashes = true;
                        push_escape(&mut out, b'/');
                    }
                    plain if is_unreserved(plain) => out.push(plain),
                    other => push_escape(&mut out, other),
                }
            }
            0x80.. => push_escape(&mut out, byte),
            plain => out.push(plain),
        }
    }
    Ok((out, slashes))
}

fn push_escape(out: &mut Vec<u8>, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.extend([
        b'%',
        DIGITS[usize::from(byte >> 4)],
        DIGITS[usize::from(byte & 15)],
    ]);
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Removes dot segments (RFC 3986, 5.2.4); one that would leave the root is refused instead of ignored.
fn resolve(path: &[u8]) -> Result<String, Failure> {
    let mut out: Vec<u8> = Vec::with_capacity(path.len());
    let mut segments = path.split(|&byte| byte == b'/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            b"." => {}
            b".." => {
                let parent = out.iter().rposition(|&byte| byte == b'/');
                out.truncate(parent.ok_or(Failure::MalformedRequest)?);
            }
            _ => {
                out.push(b'/');
                out.extend_from_slice(segment);
                continue;
            }
        }
        if last {
            out.push(b'/');
        }
    }
    if out.is_empty() {
        out.push(b'/');
    }
    String::from_utf8(out).map_err(|_| Failure::MalformedRequest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_plain_path_is_not_copied() {
        assert!(matches!(
            canonical("/v1/users/7.json"),
            Ok(Cow::Borrowed(_))
        ));
    }

    #[test]
    fn an_encoded_slash_stays_one_where_it_may() {
        for (path, expected) in [
            ("/a%2fb", Some("/a%2Fb")),
            ("/a%2Fb/./c%7e", Some("/a%2Fb/c~")),
            ("/a%252Fb", None),
            ("/a%2f%2fb", Some("/a%2F%2Fb")),
        ] {
            let (path, slashes) = with_slashes(path).unwrap();
            assert_eq!(slashes, expected.is_some());
            assert_eq!(&*path, expected.unwrap_or("/a%252Fb"));
        }
        for path in [
            "/a/..%2fb",
            "/a%2f..",
            "/a%2F.%2Fb",
            "/%2e%2E%2fa",
            "/a%5cb",
            "/a%2fb%00",
        ] {
            assert_eq!(with_slashes(path), Err(Failure::MalformedRequest), "{path}");
        }
        assert_eq!(canonical("/a%2fb"), Err(Failure::MalformedRequest));
    }

    proptest! {
        #[test]
        fn the_canonical_form_is_its_own_canonical_form(path in "/[a-z./%0-9A-F~é]{0,24}") {
            if let Ok(once) = canonical(&path) {
                let twice = canonical(&once);
                prop_assert_eq!(twice.as_deref(), Ok(&*once));
                prop_assert!(!once.split('/').any(|segment| segment == ".." || segment == "."));
            }
        }

        #[test]
        fn no_path_panics(path in "\\PC*") {
            let _ = canonical(&path);
        }
    }
}
