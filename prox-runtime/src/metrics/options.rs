//! What a user may say about the metrics.

use std::sync::Arc;

use super::histogram::Bounds;
use crate::error::{Error, Result};

/// How a gateway counts: [`Server::metrics`](crate::Server::metrics).
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// # fn doc(gateway: prox::Gateway) -> prox::Result {
/// use prox::{MetricsOptions, Server};
///
/// let options = MetricsOptions::new().buckets([0.01, 0.1, 1.0]).by_status();
/// Server::new(gateway).metrics(options).run()
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct MetricsOptions {
    buckets: Option<Vec<f64>>,
    by_status: bool,
}

impl MetricsOptions {
    /// The defaults: 17 buckets from 1 ms to 30 s, and no status at the durations.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the upper bounds of the buckets of all histograms, in seconds, without `+Inf`, which is always there; by default 0.001,
    /// 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10 and 30.
    ///
    /// Each bound is one series for each route and error. The server does not start unless there are 1 to 64 bounds that are
    /// finite, above 0, and ascend. They are those of the gateway and its backends: two servers of one gateway, and two gateways
    /// with one backend, need the same ones.
    pub fn buckets(mut self, bounds: impl IntoIterator<Item = f64>) -> Self {
        self.buckets = Some(bounds.into_iter().collect());
        self
    }

    /// Gives `http_server_request_duration_seconds` the labels `http_request_method` and `http_response_status_code` too, which
    /// OpenTelemetry has there; off by default.
    ///
    /// A route then has a histogram of some 20 series for each pair of a method and a status that it has answered.
    pub fn by_status(mut self) -> Self {
        self.by_status = true;
        self
    }

    /// The same, checked.
    ///
    /// # Errors
    ///
    /// What is wrong with the buckets.
    pub(crate) fn settle(&self) -> Result<Settings> {
        let refused = |problem| Error::config(format!("metrics: buckets: {problem}"));
        let bounds = match &self.buckets {
            Some(buckets) => Arc::new(Bounds::new(buckets).map_err(refused)?),
            None => Bounds::usual(),
        };
        Ok(Settings {
            bounds,
            by_status: self.by_status,
        })
    }
}

/// How a gateway counts, as it was checked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settings {
    pub(crate) bounds: Arc<Bounds>,
    pub(crate) by_status: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            bounds: Bounds::usual(),
            by_status: false,
        }
    }
}
