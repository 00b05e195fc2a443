//! Bytes as text: base64 and hexadecimal digits; and texts as strings of JSON.

use std::{
    borrow::Cow,
    fmt::{self, Write as _},
};

/// Base64 with padding (RFC 4648, 4).
///
/// The crate `base64` comes with the feature `auth` alone. This one is for what is there without it: `Client-Cert`, fields that
/// tell who the caller is, and WebSockets.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |place| u32::from(group.get(place).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            text.push(if place <= group.len() {
                char::from(LETTERS[(bits >> (18 - 6 * place)) as usize & 63])
            } else {
                '='
            });
        }
    }
    text
}

/// Base64 for URLs and names of files, without padding (RFC 4648, 5).
pub(crate) fn base64url(bytes: &[u8]) -> String {
    let mut text = base64(bytes);
    text.truncate(text.trim_end_matches('=').len());
    text.replace('+', "-").replace('/', "_")
}

/// The bytes of a text in base64 for URLs, without padding; nothing if it is not such a text.
pub(crate) fn unbase64url(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    let (mut bits, mut count) = (0_u32, 0);
    for letter in text.bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).ok()?);
        }
    }
    // One letter alone is less than a byte, and the bits behind the last byte are zero.
    (count < 6 && bits & ((1 << count) - 1) == 0).then_some(bytes)
}

/// A text as a value of `application/x-www-form-urlencoded` (URL Standard, 5.2).
pub(crate) fn form(text: &str) -> String {
    let mut coded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'*' | b'-' | b'.' | b'_' => {
                coded.push(char::from(byte));
            }
            b' ' => coded.push('+'),
            byte => {
                // Writing into a string cannot fail.
                let _ = write!(coded, "%{byte:02X}");
            }
        }
    }
    coded
}

/// A string of JSON (RFC 8259, 7), which is one of YAML too.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                // Writing into a string cannot fail, and all of these are in the basic plane.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Two digits in lower case for each byte.
#[cfg_attr(
    not(any(feature = "auth", feature = "redis", feature = "tls")),
    expect(dead_code, reason = "digests come with these features")
)]
pub(crate) struct Hex<'b>(pub(crate) &'b [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A text without its percent-encoding; nothing if a percent sign has no two digits behind it, or the bytes are not UTF-8.
pub(crate) fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(next) = rest.next() {
        bytes.push(match next {
            b'%' => byte(rest.next()?, rest.next()?)?,
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

/// A name or a value of a query as servers read it: `+` is a space, `%61` is an `a`. A percent sign without two digits stays.
pub(crate) fn of_form(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, behind)) = rest.split_first() {
        let decoded = match behind {
            [high, low, ..] if first == b'%' => byte(*high, *low),
            _ => None,
        };
        rest = if decoded.is_some() {
            &behind[2..]
        } else {
            behind
        };
        let plain = if first == b'+' { b' ' } else { first };
        bytes.push(decoded.unwrap_or(plain));
    }
    Cow::Owned(bytes)
}

/// The byte of two hexadecimal digits, of either case.
pub(crate) fn byte(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? << 4 | digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), coded);
            assert_eq!(base64url(plain.as_bytes()), coded.trim_end_matches('='));
        }
        assert_eq!(base64(&[0xfb, 0xff, 0xfe]), "+//+");
        assert_eq!(base64url(&[0xfb, 0xff, 0xfe]), "-__-");
    }

    #[test]
    fn a_form_is_read_as_servers_read_it() {
        for (coded, plain) in [
            ("a", "a"),
            ("%61+%2B", "a +"),
            ("%e4%E4", "\u{e4}\u{e4}"),
            ("%", "%"),
            ("%6", "%6"),
            ("%6g%61", "%6ga"),
            ("%%61", "%a"),
            ("", ""),
        ] {
            let plain: Vec<u8> = plain.chars().map(|char| char as u8).collect();
            assert_eq!(*of_form(coded.as_bytes()), *plain, "{coded}");
        }
    }

    #[test]
    fn base64_for_urls_is_read_as_it_is_written() {
        for length in 0..40_u8 {
            let bytes: Vec<u8> = (0..length).map(|place| place.wrapping_mul(67)).collect();
            assert_eq!(unbase64url(&base64url(&bytes)), Some(bytes));
        }
        for wrong in ["a", "ab=", "a b", "ab+/", "aab", "abcde", "\u{e4}"] {
            assert_eq!(unbase64url(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_form_is_that_of_the_standard() {
        assert_eq!(form("aZ09*-._"), "aZ09*-._");
        assert_eq!(form("a b&c=d%~+/ä"), "a+b%26c%3Dd%25%7E%2B%2F%C3%A4");
    }

    #[test]
    fn digits_are_those_of_their_bytes() {
        let all: Vec<u8> = (0..=255).collect();
        let text = Hex(&all).to_string();
        assert!(text.starts_with("000102") && text.ends_with("fdfeff"));
        for text in [text.to_uppercase(), text] {
            let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
                unreachable!("it has two digits for each byte")
            };
            let read: Vec<_> = pairs.iter().map(|[high, low]| byte(*high, *low)).collect();
            assert_eq!(read, all.iter().copied().map(Some).collect::<Vec<_>>());
        }
        for (high, low) in [(b'g', b'0'), (b'0', b'G'), (b'+', b'1'), (b' ', b'1')] {
            assert_eq!(byte(high, low), None);
        }
    }
}
