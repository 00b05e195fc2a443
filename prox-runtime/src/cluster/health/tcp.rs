//! A check that opens a connection and closes it.

use std::time::Duration;

use super::{
    active::CheckOptions,
    check::{CheckTarget, HealthCheck, knobs},
};

/// Checks whether a connection comes about, TLS included: `.health(tcp().every(5s))`.
///
/// It shows that something listens, and not that it works; prefer [`http`](super::http::http) where there is a path to ask.
#[derive(Clone, Debug, Default)]
pub struct TcpCheck {
    options: CheckOptions,
}

/// Checks whether a connection comes about.
pub fn tcp() -> TcpCheck {
    TcpCheck::new()
}

impl TcpCheck {
    /// Checks whether a connection comes about.
    pub fn new() -> Self {
        Self::default()
    }

    knobs!();
}

impl HealthCheck for TcpCheck {
    async fn check(&self, endpoint: &CheckTarget) -> Result<(), String> {
        match endpoint.open().await {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("{error:?}")),
        }
    }

    fn options(&self) -> CheckOptions {
        self.options.clone()
    }
}
