//! What the issuer has said of tokens, for a while.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    auth::{claims::Verified, turns::Turns},
    expiring::Expiring,
    sync::lock,
};

/// How long it is remembered that a token is not active.
const MISSED: Duration = Duration::from_secs(10);

/// The most of each.
const MOST: usize = 4096;

type TokenDigest = [u8; 32];

pub(super) struct Kept {
    active: Mutex<Expiring<TokenDigest, Arc<Verified>, Instant>>,
    inactive: Mutex<Expiring<TokenDigest, (), Instant>>,
    /// The tokens that are asked about. A request whose question has failed says so to those that wait.
    pub(super) asking: Turns<TokenDigest, bool>,
}

impl Default for Kept {
    fn default() -> Self {
        Self {
            active: Mutex::new(Expiring::new(MOST)),
            inactive: Mutex::new(Expiring::new(MOST)),
            asking: Turns::default(),
        }
    }
}

impl Kept {
    /// What is known of a token: nothing, that it is not active, or whose it is.
    #[expect(clippy::option_option, reason = "what is known, and what it says")]
    pub(super) fn known(&self, digest: &TokenDigest) -> Option<Option<Arc<Verified>>> {
        let now = Instant::now();
        if let Some(verified) = lock(&self.active).get(digest, now) {
            return Some(Some(Arc::clone(verified)));
        }
        lock(&self.inactive).get(digest, now).map(|()| None)
    }

    pub(super) fn keep(&self, digest: TokenDigest, answer: Option<Arc<Verified>>, time: Duration) {
        let now = Instant::now();
        match answer {
            Some(verified) if !time.is_zero() => {
                lock(&self.inactive).remove(&digest);
                lock(&self.active).insert(digest, verified, now + time, now);
            }
            Some(_) => {}
            None => {
                lock(&self.active).remove(&digest);
                lock(&self.inactive).insert(digest, (), now + MISSED, now);
            }
        }
    }
}
