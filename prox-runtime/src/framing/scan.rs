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
    let begin = letters_or_hyphens(bytes);
    match bytes.get(begin) {
        // What ends nearly every token that is looked at.
        Some(b':' | b' ') => begin,
        _ => {
            let rest = bytes.get(begin..).unwrap_or_default();
            let end = rest.iter().position(|&byte| !is_token(byte));
            begin + end.unwrap_or(rest.len())
        }
    }
}

/// How many bytes of a token `bytes` begins with, as far as it is whole words of letters and hyphens, and the word in which
/// it ends; most names of fields are made of nothing else.
fn letters_or_hyphens(bytes: &[u8]) -> usize {
    // What has to be added to a byte below 0x80 for its high bit to say that it is not below `a`, or that it is above `z`.
    const FROM_A: u64 = (0x80 - b'a' as u64) * LOW;
    const ABOVE_Z: u64 = (0x7f - b'z' as u64) * LOW;
    const HYPHENS: u64 = b'-' as u64 * LOW;
    let (words, _) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        // Without high bits nothing is carried from one byte to the next.
        let low = word & !HIGH;
        let lower = low | 0x20 * LOW;
        let is_letter = (lower + FROM_A) & !(lower + ABOVE_Z);
        let is_other_than_hyphen = (low ^ HYPHENS) + !HIGH;
        let found = (!(is_letter | !is_other_than_hyphen) | word) & HIGH;
        if found != 0 {
            return index * 8 + (found.trailing_zeros() / 8) as usize;
        }
    }
    words.len() * 8
}

/// How many bytes of a text `bytes` begins with.
pub(super) fn text(bytes: &[u8]) -> usize {
    let mut at = 0;
    loop {
        at += below_or_delete(&bytes[at..], b' ');
        if bytes.get(at) != Some(&b'\t') {
            return at;
        }
        at += 1;
    }
}

/// How many bytes of a request target `bytes` begins with: text without white space.
pub(super) fn target(bytes: &[u8]) -> usize {
    below_or_delete(bytes, b' ' + 1)
}

/// Each byte one, and the high bit of each byte.
const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// The place of the first byte below `limit`, or of the first delete.
fn below_or_delete(bytes: &[u8], limit: u8) -> usize {
    const DELETE: u64 = 0x7f * LOW;
    let limits = u64::from(limit) * LOW;
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        // The high bit of each byte that is below the limit; a borrow can only add one above the first such byte.
        let below = word.wrapping_sub(limits) & !word & HIGH;
        let delete = (word ^ DELETE).wrapping_sub(LOW) & !(word ^ DELETE) & HIGH;
        let found = below | delete;
        if found != 0 {
            return index * 8 + (found.trailing_zeros() / 8) as usize;
        }
    }
    let end = rest.iter().position(|&byte| byte < limit || byte == 0x7f);
    words.len() * 8 + end.unwrap_or(rest.len())
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
                let is_target = |byte| !is_control(byte) && byte != b' ';
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
