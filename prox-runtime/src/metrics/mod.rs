//! What is counted, and how it is written for Prometheus.
//!
//! Nothing that a client chooses makes a series: the values of labels come from tables of the gateway, the failure table, the list
//! of statuses, and the endpoints.

mod error_type;
mod exposition;
mod family;
mod histogram;
mod lanes;
mod options;
mod process;
mod requests;
mod status;
mod tries;

use std::sync::{Arc, Mutex};

pub use self::options::MetricsOptions;
pub(crate) use self::{
    error_type::ErrorType,
    exposition::{Format, Samples},
    family::*,
    histogram::Bounds,
    options::Settings,
    process::descriptors,
    requests::{Ended, Requests, method, version, version_name},
    tries::{EndpointTries, Tries},
};
use crate::sync::lock;

/// Has numbers of its own to show, such as a server its connections.
pub(crate) trait Measured: Send + Sync {
    /// Adds what it knows now.
    fn measure(&self, samples: &mut Samples);
}

/// Counts the requests of one worker's connections: a pointer to the counts of all, on a line of memory that no other worker writes.
#[derive(Debug)]
pub(crate) struct Meter(Arc<Requests>);

impl Meter {
    pub(crate) fn new(requests: Arc<Requests>) -> Self {
        Self(requests)
    }

    /// Counts a request.
    pub(crate) fn count(&self, ended: &Ended) {
        self.0.count(ended);
    }
}

/// What is counted beside the requests.
///
/// A server that has ended stays, since its counters must not go back. When the next one comes, only its counters are kept.
#[derive(Default)]
pub(crate) struct Sources(Mutex<Known>);

#[derive(Default)]
struct Known {
    sources: Vec<Arc<dyn Measured>>,
    /// The counters of those that have ended.
    past: Samples,
}

impl Sources {
    pub(crate) fn attach(&self, source: &Arc<dyn Measured>) {
        let mut known = lock(&self.0);
        let Known { sources, past } = &mut *known;
        // Nobody else has it.
        for ended in sources.extract_if(.., |known| Arc::strong_count(known) == 1) {
            let mut samples = Samples::default();
            ended.measure(&mut samples);
            past.add_counters(&samples);
        }
        if !sources.iter().any(|known| Arc::ptr_eq(known, source)) {
            sources.push(Arc::clone(source));
        }
    }

    fn measure(&self, samples: &mut Samples) {
        let sources = {
            let known = lock(&self.0);
            samples.add_counters(&known.past);
            known.sources.clone()
        };
        for source in sources {
            source.measure(samples);
        }
    }
}

/// All numbers of a gateway and its process; `more` adds those of its backends.
pub(crate) fn collect(
    requests: &Requests,
    sources: &Sources,
    more: impl FnOnce(&mut Samples),
) -> Samples {
    let mut samples = Samples::default();
    requests.write(&mut samples);
    sources.measure(&mut samples);
    more(&mut samples);
    process::write(&mut samples);
    samples
}
