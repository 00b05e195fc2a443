//! Tries of requests, counted for each backend and each endpoint.

use std::time::Duration;

use super::{
    error_type::ErrorType,
    exposition::Samples,
    family::{ENDPOINT_REQUESTS, TRY_DURATION},
    histogram::Histogram,
    requests::{entry, with_error},
};
use crate::{error::Failure, sync::Sharded};

/// The tries of a backend, to the head of each response.
#[derive(Debug, Default)]
pub(crate) struct Tries(Sharded<Vec<(ErrorType, Histogram)>>);

/// The tries on one endpoint.
#[derive(Debug, Default)]
pub(crate) struct EndpointTries(Sharded<Vec<(ErrorType, u64)>>);

impl Tries {
    /// Counts one that has ended with this status, or without a response.
    pub(crate) fn count(
        &self,
        endpoint: &EndpointTries,
        status: u16,
        failure: Option<Failure>,
        took: Duration,
    ) {
        let error = ErrorType::of(status, failure);
        {
            let mut times = self.0.local();
            entry(&mut times, error).add(took);
        }
        let mut counts = endpoint.0.local();
        *entry(&mut counts, error) += 1;
    }

    pub(crate) fn write(&self, backend: &str, samples: &mut Samples) {
        let mut all: Vec<(ErrorType, Histogram)> = Vec::new();
        for times in self.0.all() {
            for (error, histogram) in &*times {
                entry(&mut all, *error).merge(histogram);
            }
        }
        all.sort_unstable_by_key(|&(error, _)| error);
        for (error, histogram) in &all {
            with_error(&[("backend", backend)], *error, |labels| {
                samples.histogram(&TRY_DURATION, labels, histogram);
            });
        }
    }
}

impl EndpointTries {
    pub(crate) fn write(&self, backend: &str, endpoint: &str, samples: &mut Samples) {
        let mut all: Vec<(ErrorType, u64)> = Vec::new();
        for counts in self.0.all() {
            for &(error, count) in &*counts {
                *entry(&mut all, error) += count;
            }
        }
        all.sort_unstable_by_key(|&(error, _)| error);
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
        tries.count(&one, 200, None, Duration::from_millis(1));
        tries.count(&two, 503, None, Duration::from_millis(1));
        tries.count(&two, 0, Some(Failure::Connect), Duration::from_millis(1));
        let mut samples = Samples::default();
        tries.write("users", &mut samples);
        one.write("users", "http://a:1", &mut samples);
        two.write("users", "http://b:1", &mut samples);
        let text = samples.write(Format::Text);
        for line in [
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
