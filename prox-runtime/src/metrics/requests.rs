//! Requests, counted for each route: what was answered, how long it took, and how many bytes there were.

use std::{collections::BTreeMap, time::Duration};

use http::{Method, Version};

use super::{
    error_type::ErrorType,
    exposition::{Label, Samples},
    family::{PROTOCOL_REQUESTS, REQUEST_BYTES, REQUEST_DURATION, REQUESTS, RESPONSE_BYTES},
    histogram::Histogram,
    status::{Status, class},
};
use crate::sync::Sharded;

/// The methods that have a label of their own, and the one for all others. A client that makes up methods makes no samples.
const METHODS: [&str; 10] = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "_OTHER",
];

/// The place of a method among [`METHODS`].
pub(crate) fn method(method: &Method) -> u8 {
    match *method {
        Method::GET => 0,
        Method::HEAD => 1,
        Method::POST => 2,
        Method::PUT => 3,
        Method::PATCH => 4,
        Method::DELETE => 5,
        Method::OPTIONS => 6,
        Method::TRACE => 7,
        Method::CONNECT => 8,
        _ => 9,
    }
}

const VERSIONS: [&str; 3] = ["1.0", "1.1", "2"];

/// The place of a version among those that a client can speak.
pub(crate) fn version(version: Version) -> u8 {
    match version {
        Version::HTTP_2 => 2,
        Version::HTTP_11 => 1,
        _ => 0,
    }
}

/// The version with this place.
pub(crate) fn version_name(place: u8) -> Option<&'static str> {
    VERSIONS.get(usize::from(place)).copied()
}

/// A request that has ended, as numbers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ended {
    /// The number of the route; none if no route took it.
    pub(crate) route: Option<u32>,
    pub(crate) method: u8,
    pub(crate) version: u8,
    pub(crate) status: u16,
    pub(crate) error: ErrorType,
    /// Nothing for a tunnel, of which only the begin counts.
    pub(crate) took: Option<Duration>,
    pub(crate) received: u64,
    pub(crate) sent: u64,
}

/// The requests of a gateway.
///
/// Each worker counts in a part of its own, behind a lock that nobody else takes but whoever reads the numbers.
#[derive(Debug)]
pub(crate) struct Requests {
    /// The series of each route: routes with one host and one pattern share theirs.
    series: Vec<u32>,
    names: Vec<(&'static str, &'static str)>,
    counts: Sharded<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    /// By series; the last is for requests that no route took.
    blocks: Vec<Option<Box<Block>>>,
    versions: [u64; VERSIONS.len()],
}

/// The counts of one series.
#[derive(Clone, Debug, Default)]
struct Block {
    /// The first entry is nearly always the one that counts.
    requests: Vec<(Key, u64)>,
    durations: Vec<(ErrorType, Histogram)>,
    received: u64,
    sent: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    method: u8,
    status: u16,
    error: ErrorType,
}

impl Requests {
    /// For routes with these hosts and patterns, in the order of their numbers.
    pub(crate) fn new(routes: impl Iterator<Item = (&'static str, &'static str)>) -> Self {
        let mut places = BTreeMap::new();
        let mut names = Vec::new();
        let series = routes.map(|name| {
            *places.entry(name).or_insert_with(|| {
                names.push(name);
                u32::try_from(names.len() - 1).unwrap_or(u32::MAX)
            })
        });
        Self {
            series: series.collect(),
            names,
            counts: Sharded::default(),
        }
    }

    /// Counts one.
    pub(crate) fn count(&self, ended: &Ended) {
        let series = ended
            .route
            .and_then(|route| self.series.get(route as usize))
            .map_or(self.names.len(), |&series| series as usize);
        let mut counts = self.counts.local();
        if let Some(count) = counts.versions.get_mut(usize::from(ended.version)) {
            *count += 1;
        }
        if counts.blocks.is_empty() {
            counts.blocks.resize(self.names.len() + 1, None);
        }
        let Some(slot) = counts.blocks.get_mut(series) else {
            return;
        };
        slot.get_or_insert_default().count(ended);
    }

    /// All that was counted.
    pub(super) fn write(&self, samples: &mut Samples) {
        let mut versions = [0; VERSIONS.len()];
        let mut blocks: Vec<Option<Block>> = vec![None; self.names.len() + 1];
        for counts in self.counts.all() {
            for (all, count) in versions.iter_mut().zip(counts.versions) {
                *all += count;
            }
            for (all, block) in blocks.iter_mut().zip(&counts.blocks) {
                if let Some(block) = block {
                    all.get_or_insert_default().merge(block);
                }
            }
        }
        for (version, count) in VERSIONS.into_iter().zip(versions) {
            let labels = [("network_protocol_version", version)];
            samples.add(&PROTOCOL_REQUESTS, &labels, count);
        }
        for (place, block) in blocks.iter_mut().enumerate() {
            let Some(block) = block else { continue };
            let names = self.names.get(place);
            let labels = names.map(|&(host, path)| [("host", host), ("http_route", path)]);
            block.write(labels.as_ref().map_or(&[][..], |labels| labels), samples);
        }
    }
}

/// The entry of a key, which is made if there is none.
pub(super) fn entry<K: Copy + PartialEq, V: Default>(list: &mut Vec<(K, V)>, key: K) -> &mut V {
    let place = list.iter().position(|(known, _)| *known == key);
    let place = place.unwrap_or_else(|| {
        list.push((key, V::default()));
        list.len() - 1
    });
    &mut list[place].1
}

impl Block {
    fn count(&mut self, ended: &Ended) {
        let key = Key {
            method: ended.method,
            status: class(ended.status),
            error: ended.error,
        };
        *entry(&mut self.requests, key) += 1;
        if let Some(took) = ended.took {
            entry(&mut self.durations, ended.error).add(took);
        }
        self.received += ended.received;
        self.sent += ended.sent;
    }

    fn merge(&mut self, other: &Self) {
        for &(key, count) in &other.requests {
            *entry(&mut self.requests, key) += count;
        }
        for (error, histogram) in &other.durations {
            entry(&mut self.durations, *error).merge(histogram);
        }
        self.received += other.received;
        self.sent += other.sent;
    }

    fn write(&mut self, route: &[Label<'_>], samples: &mut Samples) {
        self.requests.sort_unstable_by_key(|&(key, _)| key);
        self.durations.sort_unstable_by_key(|&(error, _)| error);
        for (error, histogram) in &self.durations {
            with_error(route, *error, |labels| {
                samples.histogram(&REQUEST_DURATION, labels, histogram);
            });
        }
        for (key, count) in &self.requests {
            let status = Status(key.status).to_string();
            let method = METHODS.get(usize::from(key.method)).copied();
            let mut labels = route.to_vec();
            labels.push(("http_request_method", method.unwrap_or("_OTHER")));
            labels.push(("http_response_status_code", &status));
            with_error(&labels, key.error, |labels| {
                samples.add(&REQUESTS, labels, *count);
            });
        }
        samples.add(&REQUEST_BYTES, route, self.received);
        samples.add(&RESPONSE_BYTES, route, self.sent);
    }
}

/// These labels, and what went wrong if anything did.
pub(super) fn with_error(labels: &[Label<'_>], error: ErrorType, write: impl FnOnce(&[Label<'_>])) {
    if error.is_none() {
        return write(labels);
    }
    let error = error.to_string();
    let mut labels = labels.to_vec();
    labels.push(("error_type", &error));
    write(&labels);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{error::Failure, metrics::exposition::Format};

    const ROUTES: [(&str, &str); 3] = [("a.test", "/v1"), ("a.test", "/v1"), ("_", "/")];

    fn requests() -> Requests {
        Requests::new(ROUTES.into_iter())
    }

    fn ended(route: Option<u32>, status: u16, failure: Option<Failure>) -> Ended {
        Ended {
            route,
            status,
            error: ErrorType::of(status, failure),
            took: Some(Duration::from_millis(3)),
            received: 1,
            sent: 10,
            ..Ended::default()
        }
    }

    fn text(requests: &Requests) -> String {
        let mut samples = Samples::default();
        requests.write(&mut samples);
        samples.write(Format::Text)
    }

    #[test]
    fn routes_with_one_host_and_pattern_share_a_series() {
        let requests = requests();
        requests.count(&ended(Some(0), 200, None));
        requests.count(&ended(Some(1), 200, None));
        requests.count(&ended(Some(2), 502, Some(Failure::Connect)));
        requests.count(&ended(None, 404, Some(Failure::NoRoute)));
        let text = text(&requests);
        for line in [
            "prox_requests_total{host=\"a.test\",http_route=\"/v1\",http_request_method=\"GET\",http_response_status_code=\"200\"} 2",
            "prox_requests_total{host=\"_\",http_route=\"/\",http_request_method=\"GET\",http_response_status_code=\"502\",error_type=\"connect\"} 1",
            "prox_requests_total{http_request_method=\"GET\",http_response_status_code=\"404\",error_type=\"no_route\"} 1",
            "http_server_request_duration_seconds_count{host=\"a.test\",http_route=\"/v1\"} 2",
            "http_server_request_duration_seconds_bucket{host=\"a.test\",http_route=\"/v1\",le=\"0.005\"} 2",
            "prox_request_body_bytes_total{host=\"a.test\",http_route=\"/v1\"} 2",
            "prox_response_body_bytes_total{host=\"a.test\",http_route=\"/v1\"} 20",
            "prox_response_body_bytes_total 10",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }

    #[test]
    fn no_client_makes_a_series() {
        let requests = requests();
        for status in 100..1000 {
            let name = Method::from_bytes(format!("M{status}").as_bytes()).unwrap();
            requests.count(&Ended {
                method: method(&name),
                ..ended(Some(status.into()), status, None)
            });
        }
        let samples = text(&requests).lines().count();
        assert!(samples < 3500, "{samples}");
        assert!(text(&requests).contains("http_request_method=\"_OTHER\""));
    }

    #[test]
    fn a_tunnel_has_no_duration() {
        let requests = requests();
        requests.count(&Ended {
            took: None,
            ..ended(Some(0), 101, None)
        });
        let text = text(&requests);
        assert!(
            text.contains("http_response_status_code=\"101\"} 1"),
            "{text}"
        );
        assert!(!text.contains("_duration_"), "{text}");
    }

    #[test]
    fn threads_lose_nothing() {
        let requests = requests();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        requests.count(&ended(Some(2), 200, None));
                    }
                });
            }
        });
        assert!(text(&requests).contains("http_response_status_code=\"200\"} 4000"));
    }
}
