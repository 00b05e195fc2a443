//! Who a caller is as 128 bits, which are computed once for all the limits and requests that tell callers apart.

use std::{
    hash::{BuildHasher, DefaultHasher, Hasher, RandomState},
    sync::OnceLock,
};

/// The fingerprint of a caller, once somebody has asked for it.
///
/// It is two hashes by a secret of the process, so nobody can look for two callers that have the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fingerprint(OnceLock<[u64; 2]>);

impl Fingerprint {
    /// The hashes of what `write` writes the first time.
    pub(crate) fn get(&self, write: impl FnOnce(&mut DefaultHasher)) -> [u64; 2] {
        *self.0.get_or_init(|| {
            static SECRET: OnceLock<RandomState> = OnceLock::new();
            let mut hasher = SECRET.get_or_init(RandomState::new).build_hasher();
            write(&mut hasher);
            let first = hasher.finish();
            hasher.write_u8(0xff);
            [first, hasher.finish()]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_that_of_what_is_written_and_is_written_once() {
        let of = |text: &[u8]| Fingerprint::default().get(|hasher| hasher.write(text));
        assert_eq!(of(b"a"), of(b"a"));
        assert_ne!(of(b"a"), of(b"b"));
        assert_ne!(of(b"a")[0], of(b"a")[1]);
        let mark = Fingerprint::default();
        let first = mark.get(|hasher| hasher.write(b"a"));
        assert_eq!(mark.get(|hasher| hasher.write(b"b")), first);
    }
}
