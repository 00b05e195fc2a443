//! Cuts a path into segments, eight bytes at a time.

/// The rest of a path, from behind a slash on.
#[derive(Clone, Copy, Debug)]
pub struct Segments<'a> {
    path: &'a [u8],
    at: usize,
}

/// One segment of a path.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// The first eight bytes as a little-endian number, filled up with zeros.
    pub key: u64,
    /// The segment; empty before a doubled slash, and at the end behind a slash.
    pub segment: &'a [u8],
    /// Whether the path ends with it.
    pub last: bool,
}

impl<'a> Segments<'a> {
    /// The segments of a path that begins with a slash.
    #[inline]
    pub fn new(path: &'a str) -> Self {
        Self {
            path: path.as_bytes(),
            at: 1,
        }
    }

    /// The next segment; behind the end there are only empty ones.
    #[inline]
    pub fn step(&mut self) -> Step<'a> {
        let start = self.at;
        let word = word_at(self.path, start);
        let found = slash_in(word);
        let left = self.path.len().saturating_sub(start);
        let (key, len) = if found < 8 {
            (low_bytes(word, found), found)
        } else if left <= 8 {
            (word, left)
        } else {
            (word, 8 + self.scan(start + 8))
        };
        let end = start + len;
        self.at = end + 1;
        Step {
            key,
            segment: self.path.get(start..end).unwrap_or(&[]),
            last: end >= self.path.len(),
        }
    }

    /// How far it is from `start` to the next slash or the end.
    #[inline]
    fn scan(&self, start: usize) -> usize {
        let mut at = start;
        while at < self.path.len() {
            let found = slash_in(word_at(self.path, at));
            if found < 8 {
                return at + found - start;
            }
            at += 8;
        }
        self.path.len() - start
    }
}

impl Step<'_> {
    /// Whether the path ends with a slash, and this is what stands behind it.
    #[inline]
    pub fn is_trailing_slash(&self) -> bool {
        self.last && self.segment.is_empty()
    }
}

/// The key of a segment, as [`Segments::step`] gives it.
#[inline]
pub const fn key(segment: &str) -> u64 {
    key_of(segment.as_bytes())
}

/// The key of a segment.
#[inline]
pub(super) const fn key_of(segment: &[u8]) -> u64 {
    if let Some(word) = segment.first_chunk::<8>() {
        return u64::from_le_bytes(*word);
    }
    let mut key = 0;
    let mut at = 0;
    while at < segment.len() {
        key |= (segment[at] as u64) << (8 * at);
        at += 1;
    }
    key
}

/// Eight bytes from `at` on, with zeros for those behind the end.
#[inline]
fn word_at(bytes: &[u8], at: usize) -> u64 {
    let rest = bytes.get(at..).unwrap_or(&[]);
    if let Some(word) = rest.first_chunk::<8>() {
        return u64::from_le_bytes(*word);
    }
    match bytes.last_chunk::<8>() {
        Some(_) if rest.is_empty() => 0,
        // The last eight bytes, without those that stand before `at`.
        Some(word) => u64::from_le_bytes(*word) >> (8 * (8 - rest.len())),
        None => key_of(rest),
    }
}

/// The place of the first slash among the eight bytes of `word`, or 8.
#[inline]
fn slash_in(word: u64) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let x = word ^ (ONES * u64::from(b'/'));
    // The lowest bit that is set marks the first byte that is zero; those above it may be wrong.
    let zeros = x.wrapping_sub(ONES) & !x & HIGH;
    (zeros.trailing_zeros() / 8) as usize
}

#[inline]
const fn low_bytes(word: u64, count: usize) -> u64 {
    word & !(u64::MAX << (8 * count))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn segments_of(path: &str) -> Vec<(u64, String)> {
        let mut segments = Segments::new(path);
        let mut all = Vec::new();
        loop {
            let step = segments.step();
            let text = String::from_utf8(step.segment.to_vec()).unwrap();
            all.push((step.key, text));
            if step.last {
                return all;
            }
        }
    }

    #[test]
    fn a_slash_at_the_end_gives_an_empty_segment() {
        let texts: Vec<_> = segments_of("/a/")
            .into_iter()
            .map(|(_, text)| text)
            .collect();
        assert_eq!(texts, ["a", ""]);
        assert_eq!(segments_of("/").len(), 1);
    }

    proptest! {
        #[test]
        fn segments_are_what_stands_between_slashes(path in "/[a-z/\u{e4}\u{80}]{0,40}") {
            let wanted: Vec<_> = path[1..].split('/').map(|s| (key(s), s.to_owned())).collect();
            prop_assert_eq!(segments_of(&path), wanted);
        }
    }
}
