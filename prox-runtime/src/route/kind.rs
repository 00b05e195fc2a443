//! Kinds of segments: what `{id: int}`, `{id: uuid}` and `{name: slug}` take.

/// Whether a segment is a number: one digit or more, and nothing else.
#[inline]
pub const fn is_int(segment: &[u8]) -> bool {
    let mut at = 0;
    while at < segment.len() {
        if !segment[at].is_ascii_digit() {
            return false;
        }
        at += 1;
    }
    !segment.is_empty()
}

/// Whether a segment is a UUID with hyphens, in upper or lower case (RFC 9562, 4).
#[inline]
pub const fn is_uuid(segment: &[u8]) -> bool {
    let mut at = 0;
    while at < segment.len() && segment.len() == 36 {
        let right = match at {
            8 | 13 | 18 | 23 => segment[at] == b'-',
            _ => segment[at].is_ascii_hexdigit(),
        };
        if !right {
            return false;
        }
        at += 1;
    }
    segment.len() == 36
}

/// Whether a segment has letters and digits of ASCII, `-` and `_` only.
#[inline]
pub const fn is_slug(segment: &[u8]) -> bool {
    let mut at = 0;
    while at < segment.len() {
        if !segment[at].is_ascii_alphanumeric() && segment[at] != b'-' && segment[at] != b'_' {
            return false;
        }
        at += 1;
    }
    !segment.is_empty()
}

/// How many classes there are.
pub(super) const CLASSES: usize = 4;

/// The narrowest kind of a segment: 0 for `int`, 1 for `uuid`, 2 for `slug`, 3 for any other.
pub const fn class(segment: &[u8]) -> u8 {
    if is_int(segment) {
        0
    } else if is_uuid(segment) {
        1
    } else if is_slug(segment) {
        2
    } else {
        3
    }
}
