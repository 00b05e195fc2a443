//! What there is of hand-overs in a program that cannot make any: nothing that could be called.

use std::{future::Future, time::Duration};

use super::{Begin, Hurry, Settled, Sockets};
use crate::{
    error::{Error, Result},
    handler::Dispatch,
    server::{drain::Drain, notify::Notify},
};

/// There is none.
#[derive(Debug)]
pub(in crate::server) enum Takeover {}

/// There is none.
#[derive(Debug)]
pub(in crate::server) enum Handing {}

impl Settled {
    /// # Errors
    ///
    /// Always.
    #[expect(
        clippy::unused_self,
        reason = "it is the same as where there are hand-overs"
    )]
    pub(in crate::server) fn take(self, _: &mut Sockets) -> Result<Takeover> {
        Err(Error::config("this program cannot hand over"))
    }

    /// # Errors
    ///
    /// Always.
    #[expect(
        clippy::unused_self,
        reason = "it is the same as where there are hand-overs"
    )]
    pub(in crate::server) fn reload(self, _: &[&str]) -> Result<String> {
        Err(Error::config("this program cannot hand over"))
    }
}

impl Takeover {
    pub(in crate::server) fn begin(&self) -> Begin {
        match *self {}
    }

    pub(in crate::server) fn is_second(&self) -> bool {
        match *self {}
    }

    pub(in crate::server) fn watchdog(&self) -> Option<Duration> {
        match *self {}
    }

    pub(in crate::server) fn start<G: Dispatch>(self, _: &G, _: Sockets, _: &Notify) -> Handing {
        match self {}
    }
}

impl Handing {
    pub(in crate::server) fn or(
        self,
        _: impl Future<Output = Duration>,
    ) -> std::future::Pending<(Drain, Option<Hurry>)> {
        match self {}
    }
}
