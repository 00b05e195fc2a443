//! What is told about a request besides its response.

pub(crate) mod ending;
pub(crate) mod outputs;
pub(crate) mod panics;
mod refused;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::{error::Failure, identity::Principal, sync::lock};

pub use self::refused::{Refusal, Refused};

/// A note that travels with a request; the proxy and the authenticators write into it.
///
/// Put one into the request's extensions to learn where the request went, and whose it was.
#[derive(Clone, Debug, Default)]
pub struct Trace(Arc<Mutex<Hop>>);

/// Where a request went.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Hop {
    /// The backend that was asked.
    pub backend: String,
    /// The endpoint that was asked last.
    pub endpoint: String,
    /// How many endpoints or connections were tried.
    pub tries: u32,
    /// How long it took until there was a connection, failed tries included; next to nothing for a kept one.
    pub connect: Duration,
    /// How long the upstream took until the head of its response.
    pub first_byte: Option<Duration>,
    /// What failed behind the head of a response that was ended in good order all the same, as a gRPC call is.
    pub failure: Option<Failure>,
    /// Who the caller is, if an authenticator has admitted the request; of several, what the innermost says.
    pub caller: Option<Principal>,
}

impl Trace {
    /// A note with nothing on it.
    pub fn new() -> Self {
        Self::default()
    }

    /// What is known so far; `tries` is 0 when no upstream was asked.
    pub fn hop(&self) -> Hop {
        lock(&self.0).clone()
    }

    pub(crate) fn update(&self, change: impl FnOnce(&mut Hop)) {
        change(&mut lock(&self.0));
    }
}
