//! What is counted, and how it is written for Prometheus.
//!
//! Nothing that a client chooses makes a series: the values of labels come from tables of the gateway, the failure table, the list
//! of statuses, and the endpoints.

mod error_type;
mod exposition;
mod family;
mod foreign;
mod histogram;
mod lanes;
mod options;
mod process;
mod requests;
mod status;
mod tries;

use std::{
    pin::Pin,
    sync::{Arc, Mutex, Weak},
};

#[cfg(feature = "testing")]
pub(crate) use self::foreign::read_labels;
pub use self::options::MetricsOptions;
pub(crate) use self::{
    error_type::ErrorType,
    exposition::{Format, Samples},
    family::*,
    foreign::Foreign,
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

    /// What is to be waited for before, if it has to find something out.
    fn prepare(self: Arc<Self>) -> Option<Preparation> {
        None
    }
}

/// What is waited for before something is measured.
pub(crate) type Preparation = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Counts the requests of one worker's connections: a pointer to the counts of all, on a line of memory that no other worker writes.
#[derive(Debug)]
pub(crate) struct Meter(Arc<Requests>);

impl Meter {
    pub(crate) fn new(requests: Arc<Requests>) -> Self {
        Self(requests)
    }

    /// Counts a request.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "each request passes here")]
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
    foreign: Vec<Weak<Foreign>>,
}

impl Sources {
    pub(crate) fn attach(&self, source: &Arc<dyn Measured>) {
        let mut known = lock(&self.0);
        let Known { sources, past, .. } = &mut *known;
        // This is the last reference: its server has ended.
        for ended in sources.extract_if(.., |known| Arc::strong_count(known) == 1) {
            let mut samples = Samples::default();
            ended.measure(&mut samples);
            past.add_counters(&samples);
        }
        if !sources.iter().any(|known| Arc::ptr_eq(known, source)) {
            sources.push(Arc::clone(source));
        }
    }

    /// Shows what this writes until its other owners have dropped it.
    pub(crate) fn attach_foreign(&self, foreign: &Arc<Foreign>) {
        let mut known = lock(&self.0);
        known.foreign.retain(|known| known.strong_count() > 0);
        let foreign = Arc::downgrade(foreign);
        if !known.foreign.iter().any(|known| known.ptr_eq(&foreign)) {
            known.foreign.push(foreign);
        }
    }

    fn foreign(&self) -> Vec<Arc<Foreign>> {
        lock(&self.0)
            .foreign
            .iter()
            .filter_map(Weak::upgrade)
            .collect()
    }

    /// Finds out what takes time to find out.
    pub(crate) async fn prepare(&self) {
        let sources = lock(&self.0).sources.clone();
        for preparation in sources.into_iter().filter_map(Measured::prepare) {
            preparation.await;
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
    samples.add_foreign(&sources.foreign());
    samples
}
