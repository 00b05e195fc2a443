//! What is counted, and how it is written for Prometheus.
//!
//! Nothing that a client chooses makes a series: the values of labels come from tables of the gateway, the failure table, the list
//! of statuses, and the endpoints.

mod error_type;
mod exposition;
mod family;
mod histogram;
mod process;
mod requests;
mod status;
mod tries;

use std::sync::{Arc, Mutex, Weak};

pub(crate) use self::{
    error_type::ErrorType,
    exposition::{Format, Samples},
    family::*,
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

/// What is counted beside the requests, as long as it is there.
#[derive(Default)]
pub(crate) struct Sources(Mutex<Vec<Weak<dyn Measured>>>);

impl Sources {
    pub(crate) fn attach(&self, source: &Arc<dyn Measured>) {
        let source = Arc::downgrade(source);
        let mut sources = lock(&self.0);
        sources.retain(|known| known.strong_count() > 0);
        if !sources.iter().any(|known| known.ptr_eq(&source)) {
            sources.push(source);
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
    let sources: Vec<_> = lock(&sources.0).iter().filter_map(Weak::upgrade).collect();
    for source in sources {
        source.measure(&mut samples);
    }
    more(&mut samples);
    process::write(&mut samples);
    samples
}
