//! How long an exchange waits for the head of its response.

use tokio::time::Instant;

use crate::error::Failure;

/// Says when a wait for the head of a response ends. It is asked whenever the wait goes on, since an upload that makes progress
/// moves the time.
pub(crate) trait Patience {
    /// When the wait ends or is to be looked at, as things are now.
    fn deadline(&mut self) -> Option<Instant>;

    /// The deadline has passed: why the wait ends, or nothing when it goes on. Then the next deadline is a later one.
    ///
    /// `heard` tells whether an interim response has come.
    fn passed(&mut self, heard: bool) -> Option<Failure>;
}

/// Waits for as long as it takes.
#[cfg(test)]
#[derive(Debug)]
pub(crate) struct Endless;

#[cfg(test)]
impl Patience for Endless {
    fn deadline(&mut self) -> Option<Instant> {
        None
    }

    fn passed(&mut self, _: bool) -> Option<Failure> {
        None
    }
}
