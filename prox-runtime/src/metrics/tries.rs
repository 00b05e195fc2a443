//! Tries of requests, counted for each backend and each endpoint.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock},
};

use super::{
    error_type::ErrorType,
    exposition::Samples,
    family::{CONNECT_DURATION, ENDPOINT_REQUESTS, QUEUE_DURATION, TRY_DURATION},
    histogram::{Bounds, Histogram, Times},
    lanes::{Count, Hand, Lanes},
    requests::with_error,
};
use crate::{error::Failure, sync::lock};

/// The tries of a backend, to the head of each response.
#[derive(Debug, Default)]
pub(crate) struct Tries {
    bounds: OnceLock<Arc<Bounds>>,
    lanes: Lanes<Durations>,
    connects: Lanes<OnceLock<Times>>,
    queues: Lanes<OnceLock<Times>>,
}

#[derive(Debug, Default)]
struct Durations {
    /// Those of tries without an error.
    well: OnceLock<Times>,
    failed: Mutex<BTreeMap<ErrorType, Times>>,
}

/// The tries on one endpoint.
#[derive(Debug, Default)]
pub(crate) struct EndpointTries(Lanes<Outcomes>);

#[derive(Debug, Default)]
struct Outcomes {
    well: Count,
    failed: Mutex<BTreeMap<ErrorType, Count>>,
}

impl Tries {
    /// Counts by these bounds, unless it has begun to count by others.
    pub(crate) fn set(&self, bounds: &Arc<Bounds>) -> bool {
        self.bounds.get_or_init(|| Arc::clone(bounds)) == bounds
    }

    fn bounds(&self) -> &Bounds {
        self.bounds.get_or_init(Bounds::usual)
    }

    /// Counts one that has ended with this status, or without a response. `took` is in nanoseconds.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "each request passes here")]
    pub(crate) fn count(
        &self,
        endpoint: &EndpointTries,
        status: u16,
        failure: Option<Failure>,
        took: u64,
    ) {
        let error = ErrorType::of(status, failure);
        if !error.is_none() {
            return self.count_failed(endpoint, error, took);
        }
        let (hand, bounds) = (Hand::own(), self.bounds());
        let times = self.lanes.of(hand).well.get_or_init(|| Times::new(bounds));
        times.add(took, bounds, hand);
        endpoint.0.of(hand).well.add(1, hand);
    }

    #[cold]
    fn count_failed(&self, endpoint: &EndpointTries, error: ErrorType, took: u64) {
        let (hand, bounds) = (Hand::own(), self.bounds());
        lock(&self.lanes.of(hand).failed)
            .entry(error)
            .or_insert_with(|| Times::new(bounds))
            .add(took, bounds, hand);
        lock(&endpoint.0.of(hand).failed)
            .entry(error)
            .or_default()
            .add(1, hand);
    }

    /// Counts a connection that was opened. `took` is in nanoseconds.
    pub(crate) fn connected(&self, took: u64) {
        self.add(&self.connects, took);
    }

    /// Counts a request that waited for a permit. `waited` is in nanoseconds.
    pub(crate) fn queued(&self, waited: u64) {
        self.add(&self.queues, waited);
    }

    fn add(&self, lanes: &Lanes<OnceLock<Times>>, took: u64) {
        let hand = Hand::own();
        let times = lanes.of(hand).get_or_init(|| Times::new(self.bounds()));
        times.add(took, self.bounds(), hand);
    }

    /// The times of connections and queues, where there were any.
    pub(crate) fn write_waits(&self, backend: &str, samples: &mut Samples) {
        for (family, lanes) in [
            (&CONNECT_DURATION, &self.connects),
            (&QUEUE_DURATION, &self.queues),
        ] {
            let mut all = Histogram::default();
            for times in lanes.all().filter_map(OnceLock::get) {
                all.read(times);
            }
            if all.count() > 0 {
                samples.histogram(family, &[("backend", backend)], &all, self.bounds());
            }
        }
    }

    pub(crate) fn write(&self, backend: &str, samples: &mut Samples) {
        let mut all: BTreeMap<ErrorType, Histogram> = BTreeMap::new();
        for times in self.lanes.all() {
            if let Some(well) = times.well.get() {
                all.entry(ErrorType::default()).or_default().read(well);
            }
            for (error, times) in &*lock(&times.failed) {
                all.entry(*error).or_default().read(times);
            }
        }
        for (error, histogram) in &all {
            with_error(&[("backend", backend)], *error, |labels| {
                samples.histogram(&TRY_DURATION, labels, histogram, self.bounds());
            });
        }
    }
}

impl EndpointTries {
    pub(crate) fn write(&self, backend: &str, endpoint: &str, samples: &mut Samples) {
        let mut all: BTreeMap<ErrorType, u64> = BTreeMap::new();
        for outcomes in self.0.all() {
            let well = outcomes.well.get();
            if well > 0 {
                *all.entry(ErrorType::default()).or_default() += well;
            }
            for (error, count) in &*lock(&outcomes.failed) {
                *all.entry(*error).or_default() += count.get();
            }
        }
        for (error, count) in all {
            let labels = [("backend", backend), ("endpoint", endpoint)];
            with_error(&labels, error, |labels| {
                samples.add(&ENDPOINT_REQUESTS, labels, count);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::exposition::Format;

    #[test]
    fn a_try_counts_for_the_backend_and_for_its_endpoint() {
        let (tries, one, two) = (
            Tries::default(),
            EndpointTries::default(),
            EndpointTries::default(),
        );
        tries.count(&one, 200, None, 2_000_000);
        tries.count(&two, 503, None, 2_000_000);
        tries.count(&two, 0, Some(Failure::Connect), 2_000_000);
        let mut samples = Samples::default();
        tries.write("users", &mut samples);
        one.write("users", "http://a:1", &mut samples);
        two.write("users", "http://b:1", &mut samples);
        let text = samples.write(Format::Text);
        for line in [
            "http_client_request_duration_seconds_bucket{backend=\"users\",le=\"0.001\"} 0",
            "http_client_request_duration_seconds_bucket{backend=\"users\",le=\"0.0025\"} 1",
            "http_client_request_duration_seconds_bucket{backend=\"users\",le=\"+Inf\"} 1",
            "http_client_request_duration_seconds_sum{backend=\"users\"} 0.002",
            "http_client_request_duration_seconds_count{backend=\"users\"} 1",
            "http_client_request_duration_seconds_count{backend=\"users\",error_type=\"503\"} 1",
            "http_client_request_duration_seconds_count{backend=\"users\",error_type=\"connect\"} 1",
            "prox_endpoint_requests_total{backend=\"users\",endpoint=\"http://a:1\"} 1",
            "prox_endpoint_requests_total{backend=\"users\",endpoint=\"http://b:1\",error_type=\"503\"} 1",
            "prox_endpoint_requests_total{backend=\"users\",endpoint=\"http://b:1\",error_type=\"connect\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
