//! Hashes are made on threads of their own, a few at a time.

use std::sync::{
    LazyLock,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::Semaphore;

use super::hashes::Hash;
use crate::{error::Failure, sync::cores};

/// How many requests wait for a hash.
const MOST_WAITING: usize = 64;

/// Half of the cores, one for the whole process.
static CORES: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new((cores() / 2).max(1)));

static WAITING: AtomicUsize = AtomicUsize::new(0);

/// A place among those that wait, until it is dropped.
struct Waits;

impl Waits {
    fn begin() -> Option<Self> {
        let waiting = WAITING.fetch_add(1, Ordering::Relaxed);
        let waits = Self;
        (waiting < MOST_WAITING).then_some(waits)
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        WAITING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether the password is the one of the hash.
///
/// # Errors
///
/// [`Failure::AuthUnavailable`] if too many wait.
///
/// # Cancel safety
///
/// A request that leaves while it waits has no hash made. One that is being made is finished, and holds its core until then.
pub(super) async fn verify(hash: Hash, password: String) -> Result<bool, Failure> {
    let waits = Waits::begin().ok_or(Failure::AuthUnavailable)?;
    let core = CORES
        .acquire()
        .await
        .map_err(|_| Failure::AuthUnavailable)?;
    drop(waits);
    let verified = tokio::task::spawn_blocking(move || {
        let _core = core;
        hash.verify(&password)
    });
    verified.await.map_err(|_| Failure::Internal)
}
