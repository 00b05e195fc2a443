//! Classes of bytes, and how far a run of one class goes.

/// Whether the byte may stand in a token (RFC 9110, 5.6.2).
pub(super) const fn is_token(byte: u8) -> bool {
    TOKEN[byte as usize]
}

/// Whether the byte may stand in a text: visible, beyond ASCII, a space or a tab (RFC 9110, 5.5).
pub(super) const fn is_text(byte: u8) -> bool {
    !is_control(byte) || byte == b'\t'
}

/// Whether the byte is a control byte, a tab included.
pub(super) const fn is_control(byte: u8) -> bool {
    byte < b' ' || byte == 0x7f
}

/// Optional white space (RFC 9110, 5.6.3).
pub(super) const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// How many bytes of a token `bytes` begins with.
pub(super) fn token(bytes: &[u8]) -> usize {
    let mut at = 0;
    // Most names of fields are made of letters and hyphens.
    while let Some(word) = word(bytes, at) {
        let found = other_than_letters_and_hyphens(word);
        if found != 0 {
            at += first(found);
            break;
        }
        at += 8;
    }
    while bytes.get(at).is_some_and(|&byte| is_token(byte)) {
        at += 1;
    }
    at
}

/// How many bytes of a text `bytes` begins with.
pub(super) fn text(bytes: &[u8]) -> usize {
    let mut at = 0;
    loop {
        at = below_or_delete::<0x7f>(bytes, at, b' ');
        if bytes.get(at) != Some(&b'\t') {
            return at;
        }
        at += 1;
    }
}

/// How many bytes of a request target `bytes` begins with: text without white space and without the mark of a fragment.
pub(super) fn target(bytes: &[u8]) -> usize {
    below_or_delete::<b'#'>(bytes, 0, b' ' + 1)
}

/// The place of the first byte below `limit` from `at` on, or of the first delete or `MARK`, which is a byte of ASCII.
#[inline]
fn below_or_delete<const MARK: u8>(bytes: &[u8], mut at: usize, limit: u8) -> usize {
    let is_end = |byte: u8| byte < limit || byte == 0x7f || byte == MARK;
    // Without a way out in its middle, a compiler makes a few instructions of this loop that look at all bytes at once.
    let has_end = |block: &[u8; BLOCK]| block.iter().fold(false, |end, &byte| end | is_end(byte));
    while block(bytes, at).is_some_and(|block| !has_end(block)) {
        at += BLOCK;
    }
    let limits = u64::from(limit) * LOW;
    while let Some(word) = word(bytes, at) {
        // The high bit of each byte that is below the limit; a borrow can only add one above the first such byte.
        let below = word.wrapping_sub(limits);
        let delete = (word & !HIGH) + LOW;
        let mark = !(((word ^ (u64::from(MARK) * LOW)) & !HIGH) + !HIGH);
        let found = (below | delete | mark) & !word & HIGH;
        if found != 0 {
            return at + first(found);
        }
        at += 8;
    }
    while bytes.get(at).is_some_and(|&byte| !is_end(byte)) {
        at += 1;
    }
    at
}

/// The high bit of each byte that is neither a letter nor a hyphen.
fn other_than_letters_and_hyphens(word: u64) -> u64 {
    // What has to be added to a byte below 0x80 for its high bit to say that it is not below `a`, or that it is above `z`.
    const FROM_A: u64 = (0x80 - b'a' as u64) * LOW;
    const ABOVE_Z: u64 = (0x7f - b'z' as u64) * LOW;
    // Without high bits nothing is carried from one byte to the next.
    let low = word & !HIGH;
    let lower = low | (0x20 * LOW);
    let letter = (lower + FROM_A) & !(lower + ABOVE_Z);
    let hyphen = !((low ^ (u64::from(b'-') * LOW)) + !HIGH);
    (!(letter | hyphen) | word) & HIGH
}

/// Each byte one, and the high bit of each byte.
const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

const BLOCK: usize = 16;

#[inline]
fn block(bytes: &[u8], at: usize) -> Option<&[u8; BLOCK]> {
    bytes.get(at..)?.first_chunk()
}

/// Eight bytes from `at` on, the first of them the lowest.
#[inline]
fn word(bytes: &[u8], at: usize) -> Option<u64> {
    let word = bytes.get(at..)?.first_chunk()?;
    Some(u64::from_le_bytes(*word))
}

/// The place of the first byte whose high bit is set.
#[inline]
fn first(found: u64) -> usize {
    (found.trailing_zeros() / 8) as usize
}

static TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128_u8 {
        table[byte as usize] = byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'!' | b'#'
                    | b'$'
                    | b'%'
                    | b'&'
                    | b'\''
                    | b'*'
                    | b'+'
                    | b'-'
                    | b'.'
                    | b'^'
                    | b'_'
                    | b'`'
                    | b'|'
                    | b'~'
            );
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_ends_at_the_first_byte_of_another_class_wherever_it_stands() {
        for length in 0..40 {
            for byte in 0..=255 {
                let mut bytes = vec![b'a'; length];
                bytes.extend([byte, b'\r', 0, b'a', 0x7f, 0x80, b' ', b'a', b'a', b'a']);
                let is_target = |byte| !is_control(byte) && byte != b' ' && byte != b'#';
                let runs: [(&dyn Fn(u8) -> bool, usize); 3] = [
                    (&is_token, token(&bytes)),
                    (&is_text, text(&bytes)),
                    (&is_target, target(&bytes)),
                ];
                for (class, found) in runs {
                    let end = bytes.iter().position(|&byte| !class(byte));
                    assert_eq!(Some(found), end, "{bytes:?}");
                }
            }
        }
    }

    #[test]
    fn a_run_without_an_end_is_all_there_is() {
        for length in 0..40 {
            let bytes = vec![b'a'; length];
            let ends = [token(&bytes), text(&bytes), target(&bytes)];
            assert_eq!(ends, [length; 3]);
        }
    }
}
