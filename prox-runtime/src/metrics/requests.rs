//! Requests, counted for each route: what was answered, how long it took, and how many bytes there were.

use std::{
    collections::BTreeMap,
    sync::{Mutex, OnceLock},
};

use http::{Method, Version};

use super::{
    error_type::ErrorType,
    exposition::{Label, Samples},
    family::{PROTOCOL_REQUESTS, REQUEST_BYTES, REQUEST_DURATION, REQUESTS, RESPONSE_BYTES},
    histogram::{Bounds, Histogram, Times},
    lanes::{Count, Hand, Lanes},
    options::Settings,
    status::{Status, class},
};
use crate::sync::lock;

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
    /// In nanoseconds. `None` for a tunnel, which is counted when it opens.
    pub(crate) took: Option<u64>,
    pub(crate) received: u64,
    pub(crate) sent: u64,
}

/// The requests of a gateway.
///
/// Each thread counts in a lane of its own, without a lock: a lane has a block for each series, and a block an entry for each key.
#[derive(Debug)]
pub(crate) struct Requests {
    /// The series of each route: routes with one host and one pattern share theirs.
    series: Vec<u32>,
    names: Vec<(&'static str, &'static str)>,
    settings: OnceLock<Settings>,
    lanes: Lanes<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    /// By series; the last is for requests that no route took.
    blocks: OnceLock<Box<[OnceLock<Box<Block>>]>>,
    versions: [Count; VERSIONS.len()],
}

/// How many keys of a block are found without a lock.
const NEAR: usize = 4;

/// The counts of one series.
#[derive(Debug, Default)]
struct Block {
    /// The first keys that came; the first of them is nearly always the one that counts.
    near: [OnceLock<Box<Entry>>; NEAR],
    /// All other keys, in order.
    far: Mutex<Vec<Entry>>,
    received: Count,
    sent: Count,
}

/// The requests of one key.
#[derive(Debug)]
struct Entry {
    key: Key,
    times: Times,
    /// Those that have no time.
    timeless: Count,
}

/// Method, status and error, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key(u64);

impl Key {
    fn new(method: u8, status: u16, error: ErrorType) -> Self {
        Self(u64::from(method) << 32 | u64::from(status) << 16 | u64::from(error.number()))
    }

    fn method(self) -> &'static str {
        let place = usize::try_from(self.0 >> 32).ok();
        let method = place.and_then(|place| METHODS.get(place));
        method.copied().unwrap_or("_OTHER")
    }

    fn status(self) -> Status {
        Status((self.0 >> 16 & 0xffff) as u16)
    }

    fn error(self) -> ErrorType {
        ErrorType::numbered((self.0 & 0xffff) as u16)
    }
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
            settings: OnceLock::new(),
            lanes: Lanes::default(),
        }
    }

    /// Counts as the settings say, unless it has begun to count otherwise.
    pub(crate) fn set(&self, settings: &Settings) -> bool {
        self.settings.get_or_init(|| settings.clone()) == settings
    }

    fn settings(&self) -> &Settings {
        self.settings.get_or_init(Settings::default)
    }

    /// Counts one.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "each request passes here")]
    pub(crate) fn count(&self, ended: &Ended) {
        let series = ended
            .route
            .and_then(|route| self.series.get(route as usize))
            .map_or(self.names.len(), |&series| series as usize);
        let hand = Hand::own();
        let counts = self.lanes.of(hand);
        if let Some(count) = counts.versions.get(usize::from(ended.version)) {
            count.add(1, hand);
        }
        let blocks = counts.blocks.get_or_init(|| self.blocks());
        if let Some(block) = blocks.get(series) {
            let block = block.get_or_init(Box::default);
            block.count(ended, &self.settings().bounds, hand);
        }
    }

    #[cold]
    fn blocks(&self) -> Box<[OnceLock<Box<Block>>]> {
        (0..=self.names.len()).map(|_| OnceLock::new()).collect()
    }

    /// All that was counted.
    pub(super) fn write(&self, samples: &mut Samples) {
        let mut versions = [0; VERSIONS.len()];
        let mut sums: Vec<Option<Sums>> = vec![None; self.names.len() + 1];
        for counts in self.lanes.all() {
            for (all, count) in versions.iter_mut().zip(&counts.versions) {
                *all += count.get();
            }
            let blocks = counts.blocks.get().into_iter().flatten();
            for (all, block) in sums.iter_mut().zip(blocks) {
                if let Some(block) = block.get() {
                    all.get_or_insert_default().read(block);
                }
            }
        }
        for (version, count) in VERSIONS.into_iter().zip(versions) {
            let labels = [("network_protocol_version", version)];
            samples.add(&PROTOCOL_REQUESTS, &labels, count);
        }
        for (place, sums) in sums.iter().enumerate() {
            let Some(sums) = sums else { continue };
            let names = self.names.get(place);
            let labels = names.map(|&(host, path)| [("host", host), ("http_route", path)]);
            let labels = labels.as_ref().map_or(&[][..], |labels| labels);
            sums.write(labels, self.settings(), samples);
        }
    }
}

impl Block {
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "each request passes here")]
    fn count(&self, ended: &Ended, bounds: &Bounds, hand: Hand) {
        let key = Key::new(ended.method, class(ended.status), ended.error);
        let near = self.near.iter().map_while(OnceLock::get);
        match near.into_iter().find(|entry| entry.key == key) {
            Some(entry) => entry.count(ended.took, bounds, hand),
            None => self.count_far(key, ended.took, bounds, hand),
        }
        if ended.received > 0 {
            self.received.add(ended.received, hand);
        }
        self.sent.add(ended.sent, hand);
    }

    /// Counts for a key that is new, or one of many.
    #[cold]
    fn count_far(&self, key: Key, took: Option<u64>, bounds: &Bounds, hand: Hand) {
        let mut far = lock(&self.far);
        for slot in &self.near {
            // Another thread of the lane may have been here before.
            let entry = slot.get_or_init(|| Box::new(Entry::new(key, bounds)));
            if entry.key == key {
                return entry.count(took, bounds, hand);
            }
        }
        let place = far.binary_search_by_key(&key, |entry| entry.key);
        let place = place.unwrap_or_else(|place| {
            far.insert(place, Entry::new(key, bounds));
            place
        });
        far[place].count(took, bounds, hand);
    }
}

impl Entry {
    fn new(key: Key, bounds: &Bounds) -> Self {
        Self {
            key,
            times: Times::new(bounds),
            timeless: Count::default(),
        }
    }

    fn count(&self, took: Option<u64>, bounds: &Bounds, hand: Hand) {
        match took {
            Some(nanos) => self.times.add(nanos, bounds, hand),
            None => {
                self.timeless.add(1, hand);
            }
        }
    }
}

/// The counts of one series of all threads.
#[derive(Clone, Debug, Default)]
struct Sums {
    /// How many had no time, and the times of the others.
    keys: BTreeMap<Key, (u64, Histogram)>,
    received: u64,
    sent: u64,
}

impl Sums {
    fn read(&mut self, block: &Block) {
        let far = lock(&block.far);
        let near = block.near.iter().filter_map(OnceLock::get);
        for entry in near.map(|entry| &**entry).chain(&*far) {
            let (timeless, histogram) = self.keys.entry(entry.key).or_default();
            *timeless += entry.timeless.get();
            histogram.read(&entry.times);
        }
        self.received += block.received.get();
        self.sent += block.sent.get();
    }

    fn write(&self, route: &[Label<'_>], settings: &Settings, samples: &mut Samples) {
        let bounds = &settings.bounds;
        if settings.by_status {
            for (key, (_, histogram)) in &self.keys {
                if histogram.count() > 0 {
                    with_key(route, *key, |labels| {
                        samples.histogram(&REQUEST_DURATION, labels, histogram, bounds);
                    });
                }
            }
        } else {
            let mut errors: BTreeMap<ErrorType, Histogram> = BTreeMap::new();
            for (key, (_, histogram)) in &self.keys {
                if histogram.count() > 0 {
                    errors.entry(key.error()).or_default().merge(histogram);
                }
            }
            for (error, histogram) in &errors {
                with_error(route, *error, |labels| {
                    samples.histogram(&REQUEST_DURATION, labels, histogram, bounds);
                });
            }
        }
        for (key, (timeless, histogram)) in &self.keys {
            with_key(route, *key, |labels| {
                samples.add(&REQUESTS, labels, timeless + histogram.count());
            });
        }
        samples.add(&REQUEST_BYTES, route, self.received);
        samples.add(&RESPONSE_BYTES, route, self.sent);
    }
}

/// These labels, and those of a key.
fn with_key(labels: &[Label<'_>], key: Key, write: impl FnOnce(&[Label<'_>])) {
    let status = key.status().to_string();
    let mut labels = labels.to_vec();
    labels.push(("http_request_method", key.method()));
    labels.push(("http_response_status_code", &status));
    with_error(&labels, key.error(), write);
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
            took: Some(3_000_000),
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
