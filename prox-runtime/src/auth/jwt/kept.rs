//! Tokens that were verified, for a while: a signature costs a hundred times a digest.

use std::sync::{Arc, Mutex};

use sha2::{Digest, Sha256};

use super::key::Key;
use crate::{auth::claims::Verified, expiring::Expiring, sync::lock};

/// How many tokens, and for how many seconds.
const MOST: usize = 4096;
const LONGEST: f64 = 300.0;

#[derive(Default)]
pub(super) struct Kept(Mutex<Tokens>);

struct Tokens {
    /// The keys that have verified them.
    keys: Option<Arc<Vec<Key>>>,
    by_digest: Expiring<[u8; 32], Arc<Verified>, f64>,
}

impl Default for Tokens {
    fn default() -> Self {
        Self {
            keys: None,
            by_digest: Expiring::new(MOST),
        }
    }
}

impl Tokens {
    fn are_by(&self, keys: &Arc<Vec<Key>>) -> bool {
        self.keys.as_ref().is_some_and(|own| Arc::ptr_eq(own, keys))
    }
}

impl Kept {
    /// The token if it is kept, else what `verify` makes of it. Wrong tokens are not kept: anyone can make them.
    pub(super) fn get(
        &self,
        token: &str,
        keys: &Arc<Vec<Key>>,
        now: f64,
        verify: impl FnOnce() -> Option<Verified>,
    ) -> Option<Arc<Verified>> {
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        {
            let mut tokens = lock(&self.0);
            if !tokens.are_by(keys) {
                tokens.keys = Some(Arc::clone(keys));
                tokens.by_digest.clear();
            }
            if let Some(verified) = tokens.by_digest.get(&digest, now) {
                return Some(Arc::clone(verified));
            }
        }
        let verified = Arc::new(verify()?);
        let until = verified
            .times
            .exp
            .map_or(f64::MAX, |exp| exp)
            .min(now + LONGEST);
        let mut tokens = lock(&self.0);
        if tokens.are_by(keys) && now < until {
            tokens
                .by_digest
                .insert(digest, Arc::clone(&verified), until, now);
        }
        Some(verified)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        lock(&self.0).by_digest.len()
    }
}
