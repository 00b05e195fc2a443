//! What a check is: the trait, and where it is made.

use std::{fmt, future::Future, ops::Deref, pin::Pin, sync::Arc, time::Duration};

use http::{HeaderMap, header};

use super::active::CheckOptions;
use crate::{
    cluster::{Endpoint, credentials::Kept, way::Way},
    connect::Opened,
    error::{Error, Failure},
};

/// Asks an endpoint whether it is well: `http("/healthz")`, `tcp()`, `grpc()`, or a type of one's own.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::{CheckOptions, CheckTarget, HealthCheck, RoundRobin, dsl::cluster};
///
/// /// Trusts a file that a deployment script writes.
/// #[derive(Debug)]
/// struct Marked;
///
/// impl HealthCheck for Marked {
///     async fn check(&self, endpoint: &CheckTarget) -> Result<(), String> {
///         let file = format!("/run/healthy/{}", endpoint.host());
///         tokio::fs::metadata(file).await.map(|_| ()).map_err(|error| error.to_string())
///     }
///
///     fn options(&self) -> CheckOptions {
///         CheckOptions::new().fall(1)
///     }
/// }
///
/// let users = cluster(RoundRobin::new(), ["http://10.0.0.1:8080"]).health(Marked);
/// # let _ = users;
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a health check",
    label = "this cannot check an endpoint",
    note = "a check is `http(\"/healthz\")`, `tcp()`, `grpc()`, or a type that implements `prox::HealthCheck`"
)]
pub trait HealthCheck: Send + Sync + fmt::Debug + 'static {
    /// Passes, or says in a few words what is wrong; they appear in the log and in the state of the endpoint.
    ///
    /// It runs on a worker, so it must not block: a file is read with `tokio::fs`, and work that blocks goes to
    /// `tokio::task::spawn_blocking`.
    ///
    /// A check that panics has failed, and so has one that takes longer than its [time](CheckOptions::timeout).
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when its time is over, and when the gateway ends.
    fn check(&self, endpoint: &CheckTarget) -> impl Future<Output = Result<(), String>> + Send;

    /// When it is made, and how many results count; asked once.
    fn options(&self) -> CheckOptions {
        CheckOptions::new()
    }

    /// What is wrong with it as it is written, said when the gateway starts.
    fn problem(&self) -> Option<String> {
        None
    }
}

/// The endpoint that is checked; it can be used like an [`Endpoint`].
#[derive(Clone, Debug)]
pub struct CheckTarget {
    pub(super) endpoint: Endpoint,
    pub(super) way: Way,
    pub(super) limit: Duration,
    /// What the endpoint is shown, if it is shown anything.
    pub(super) token: Option<Arc<Kept>>,
}

impl CheckTarget {
    /// Adds the token of the endpoint, if requests have one.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub(super) async fn authorize(&self, headers: &mut HeaderMap) -> Result<(), String> {
        let Some(token) = &self.token else {
            return Ok(());
        };
        let value = token.get(self.limit).await;
        let value = value.ok_or_else(|| Failure::NoCredentials.name().to_owned())?;
        headers.insert(header::AUTHORIZATION, value);
        Ok(())
    }

    /// A connection of its own, with TLS as the cluster has it.
    pub(super) async fn open(&self) -> Result<Opened, Error> {
        self.way.open(&self.endpoint, self.limit).await
    }
}

impl Deref for CheckTarget {
    type Target = Endpoint;

    fn deref(&self) -> &Endpoint {
        &self.endpoint
    }
}

/// A check behind a pointer.
pub(super) trait Erased: Send + Sync + fmt::Debug {
    fn erased<'a>(
        &'a self,
        target: &'a CheckTarget,
    ) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;
}

impl<C: HealthCheck> Erased for C {
    fn erased<'a>(
        &'a self,
        target: &'a CheckTarget,
    ) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>> {
        Box::pin(self.check(target))
    }
}

/// The options of a check, the same on each of ours.
macro_rules! knobs {
    () => {
        /// Waits so long between two checks, give or take 10 %; 10 s by default.
        #[must_use]
        pub fn every(mut self, interval: Duration) -> Self {
            self.options = self.options.every(interval);
            self
        }

        /// Waits so long between two checks while some have failed, or some have passed; 1 s by default.
        #[must_use]
        pub fn every_while_changing(mut self, interval: Duration) -> Self {
            self.options = self.options.every_while_changing(interval);
            self
        }

        /// Takes a check for failed after so long; 3 s by default.
        #[must_use]
        pub fn timeout(mut self, limit: Duration) -> Self {
            self.options = self.options.timeout(limit);
            self
        }

        /// Takes a healthy endpoint out after so many failed checks in a row; 3 by default.
        #[must_use]
        pub fn fall(mut self, checks: u32) -> Self {
            self.options = self.options.fall(checks);
            self
        }

        /// Takes an unhealthy endpoint back after so many passed checks in a row; 2 by default.
        #[must_use]
        pub fn rise(mut self, checks: u32) -> Self {
            self.options = self.options.rise(checks);
            self
        }
    };
}
pub(super) use knobs;
