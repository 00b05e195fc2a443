//! Tokens that were verified, for a while: a signature costs a hundred times as much as to find a token again.

use std::{
    borrow::Borrow,
    hash::{Hash, Hasher},
    sync::{Arc, Mutex},
};

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
    by_text: Expiring<Token, Arc<Verified>, f64>,
}

/// A whole token.
///
/// It is kept as it was sent. The hash of its last eight bytes by a secret of the process only says where to look: a token that differs
/// anywhere is another one. The bytes are a part of the signature, in which hardly any two right tokens are alike. A caller who learns how
/// far two tokens are alike has the signature of the kept one already.
#[derive(PartialEq, Eq)]
struct Token(Box<[u8]>);

/// The text of a token, owned or not.
trait Text {
    fn text(&self) -> &[u8];
}

impl Text for Token {
    fn text(&self) -> &[u8] {
        &self.0
    }
}

impl Text for &[u8] {
    fn text(&self) -> &[u8] {
        self
    }
}

impl Hash for dyn Text + '_ {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self.text().last_chunk() {
            Some(end) => state.write_u64(u64::from_ne_bytes(*end)),
            // No right token is as short.
            None => state.write_u64(0),
        }
    }
}

impl PartialEq for dyn Text + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Eq for dyn Text + '_ {}

impl Hash for Token {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self as &dyn Text).hash(state);
    }
}

impl<'t> Borrow<dyn Text + 't> for Token {
    fn borrow(&self) -> &(dyn Text + 't) {
        self
    }
}

impl Default for Tokens {
    fn default() -> Self {
        Self {
            keys: None,
            by_text: Expiring::new(MOST),
        }
    }
}

impl Tokens {
    fn are_by(&self, keys: &Arc<Vec<Key>>) -> bool {
        self.keys.as_ref().is_some_and(|own| Arc::ptr_eq(own, keys))
    }
}

impl Kept {
    /// The token, if these keys have verified it a while ago.
    pub(super) fn known(
        &self,
        token: &[u8],
        keys: &Arc<Vec<Key>>,
        now: f64,
    ) -> Option<Arc<Verified>> {
        let mut tokens = lock(&self.0);
        if !tokens.are_by(keys) {
            tokens.keys = Some(Arc::clone(keys));
            tokens.by_text.clear();
        }
        tokens.by_text.get(&token as &dyn Text, now).cloned()
    }

    /// The token if it is known, else what `verify` makes of it. Wrong tokens are not kept: anyone can make them.
    pub(super) fn get(
        &self,
        token: &str,
        keys: &Arc<Vec<Key>>,
        now: f64,
        verify: impl FnOnce() -> Option<Verified>,
    ) -> Option<Arc<Verified>> {
        let token = token.as_bytes();
        if let Some(verified) = self.known(token, keys, now) {
            return Some(verified);
        }
        let verified = Arc::new(verify()?);
        let until = verified
            .times
            .exp
            .map_or(f64::MAX, |exp| exp)
            .min(now + LONGEST);
        let mut tokens = lock(&self.0);
        if tokens.are_by(keys) && now < until {
            let token = Token(token.into());
            let verified = Arc::clone(&verified);
            tokens.by_text.insert(token, verified, until, now);
        }
        Some(verified)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        lock(&self.0).by_text.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{auth::claims::Times, identity::Principal};

    #[test]
    fn a_token_that_differs_anywhere_is_another_one() {
        let (kept, keys) = (Kept::default(), Arc::new(Vec::new()));
        let right = format!("{}.{}", "a".repeat(300), "b".repeat(100));
        let verified = || Verified {
            principal: Principal::new("jwt", "ada"),
            times: Times::default(),
        };
        assert!(kept.known(right.as_bytes(), &keys, 0.0).is_none());
        assert!(kept.get(&right, &keys, 0.0, || Some(verified())).is_some());
        assert!(kept.known(right.as_bytes(), &keys, 1.0).is_some());
        for place in 0..right.len() {
            let mut other = right.clone().into_bytes();
            other[place] ^= 1;
            assert!(kept.known(&other, &keys, 1.0).is_none(), "{place}");
        }
        for other in [&right[1..], &right[..right.len() - 1], "", &right[350..]] {
            assert!(kept.known(other.as_bytes(), &keys, 1.0).is_none());
        }
        // Other keys have not verified it.
        assert!(
            kept.known(right.as_bytes(), &Arc::new(Vec::new()), 1.0)
                .is_none()
        );
        assert_eq!(kept.len(), 0);
    }
}
