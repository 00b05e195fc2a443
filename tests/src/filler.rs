//! Bodies too large to hold, made and checked as they stream.

use std::{
    fmt,
    hash::{DefaultHasher, Hasher},
    sync::LazyLock,
};

use bytes::Bytes;

/// The length of one block of filler; prime, so that it lines up with no buffer.
const BLOCK: usize = 65_521;

/// A stream of `length` bytes that are the same for every stream of that length, in blocks.
///
/// Each block begins with its number, so that a block which is lost, doubled or moved changes the [`Digest`].
#[derive(Clone, Debug)]
pub struct Filler {
    next: u64,
    left: u64,
}

impl Filler {
    /// Filler of `length` bytes.
    pub fn new(length: u64) -> Self {
        Self {
            next: 0,
            left: length,
        }
    }
}

impl Iterator for Filler {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        static PATTERN: LazyLock<Vec<u8>> =
            LazyLock::new(|| (0..=250_u8).cycle().take(BLOCK).collect());
        if self.left == 0 {
            return None;
        }
        let mut block = PATTERN.clone();
        for (place, byte) in block.iter_mut().zip(self.next.to_le_bytes()) {
            *place = byte;
        }
        let length = usize::try_from(self.left).map_or(BLOCK, |left| left.min(BLOCK));
        block.truncate(length);
        self.next += 1;
        self.left -= length as u64;
        Some(block.into())
    }
}

/// What is kept of a body that went by: its length and a hash of its bytes.
#[derive(Clone, Default)]
pub struct Digest {
    length: u64,
    hasher: DefaultHasher,
}

impl Digest {
    /// The digest of [`Filler`] of this length.
    pub fn of_filler(length: u64) -> Self {
        let mut digest = Self::default();
        for block in Filler::new(length) {
            digest.update(&block);
        }
        digest
    }

    /// Takes in what comes next; how the bytes are cut into pieces makes no difference.
    pub fn update(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        self.hasher.write(bytes);
    }

    /// How many bytes there were.
    pub fn length(&self) -> u64 {
        self.length
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        (self.length, self.hasher.finish()) == (other.length, other.hasher.finish())
    }
}

impl Eq for Digest {}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} bytes of hash {:x}",
            self.length,
            self.hasher.finish()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cuts_between_pieces_make_no_difference() {
        let whole: Vec<u8> = Filler::new(200_000).flatten().collect();
        assert_eq!(whole.len(), 200_000);
        let mut digest = Digest::default();
        for piece in whole.chunks(777) {
            digest.update(piece);
        }
        assert_eq!(digest, Digest::of_filler(200_000));
        assert_ne!(digest, Digest::of_filler(199_999));
    }
}
