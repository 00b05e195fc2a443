//! The metrics of a gateway, and the target that answers them.

use std::{
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, OnceLock},
};

use http::{HeaderValue, header};

use super::{
    readiness::Question,
    target::{IntoTarget, Kind, Target},
};
use crate::{
    body::Body,
    cluster::Cluster,
    error::{Error, Result},
    handler::{BoxHandler, Handler, Request, Response},
    metrics::{
        self, ACCESS_LOG_LOST, BUILD_INFO, DRAINING, Foreign, Format, LOG_LOST, Measured, Meter,
        READY, Requests, Samples, Settings, Sources,
    },
    observe::queue,
    route::Routes,
};

/// Answers the metrics of the gateway; made by [`metrics`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Metrics;

/// A target that answers the metrics of the gateway and its server, for Prometheus: `GET "/metrics" => prox::metrics()`.
///
/// The format is Prometheus' text 0.0.4, or `OpenMetrics` 1.0.0 where the `Accept` of the request prefers it. The names of routes,
/// backends and endpoints are in it, so let nobody in who must not see them: put the route behind an authenticator, or on a host
/// that only the inside reaches. The guide `metrics` lists all families.
pub fn metrics() -> Metrics {
    Metrics
}

impl IntoTarget for Metrics {
    fn into_target(self, _: &str) -> Result<Target> {
        let measures = Arc::default();
        let handler = BoxHandler::new(Answer(Arc::clone(&measures)));
        Ok(Target(Kind::Metrics(handler, measures)))
    }
}

/// What a gateway counts; clones share it.
#[derive(Clone)]
pub(super) struct Measures(Arc<Inner>);

impl fmt::Debug for Measures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Measures")
    }
}

/// Where a target finds it.
pub(super) type Awaited = Arc<OnceLock<Measures>>;

struct Inner {
    requests: Arc<Requests>,
    /// Counts those of an embedded gateway.
    meter: Arc<Meter>,
    sources: Sources,
    /// Each once.
    clusters: Vec<Cluster>,
    question: Question,
    /// The name of the gateway, if it has one.
    name: Option<&'static str>,
    /// Differs between gateways whose tables of routes do.
    table: String,
}

impl Measures {
    pub(super) fn new(
        name: Option<&'static str>,
        routes: Routes,
        clusters: Vec<Cluster>,
        question: Question,
    ) -> Self {
        let names = routes.0.iter().map(|route| (route.host, route.path));
        let requests = Arc::new(Requests::new(names));
        let mut hash = DefaultHasher::new();
        for route in routes.0 {
            let text = (
                route.host,
                route.methods,
                route.path,
                route.exact,
                route.guard,
            );
            (text, route.target, route.layers).hash(&mut hash);
        }
        Self(Arc::new(Inner {
            meter: Arc::new(Meter::new(Arc::clone(&requests))),
            requests,
            sources: Sources::default(),
            clusters,
            question,
            name,
            table: format!("{:016x}", hash.finish()),
        }))
    }

    pub(super) fn requests(&self) -> &Arc<Requests> {
        &self.0.requests
    }

    pub(super) fn meter(&self) -> Arc<Meter> {
        Arc::clone(&self.0.meter)
    }

    /// Counts in this way from now on.
    ///
    /// # Errors
    ///
    /// When the gateway or a backend has begun to count in another way.
    pub(super) fn count_as(&self, settings: &Settings) -> Result {
        if !self.0.requests.set(settings) {
            return Err(Error::config(
                "metrics: the gateway counts with other `MetricsOptions` already: give them to its first server, before the first \
                 request, and the same ones to all its servers",
            ));
        }
        let clusters = &mut self.0.clusters.iter();
        match clusters.find(|cluster| !cluster.count_by(&settings.bounds)) {
            None => Ok(()),
            Some(cluster) => Err(Error::config(format!(
                "metrics: the backend `{}` counts with other buckets already: give the same ones to all gateways that use it, before \
                 the first request",
                cluster.name()
            ))),
        }
    }

    pub(super) fn attach(&self, source: &Arc<dyn Measured>) {
        self.0.sources.attach(source);
    }

    pub(super) fn attach_foreign(&self, foreign: &Arc<Foreign>) {
        self.0.sources.attach_foreign(foreign);
    }

    /// All clusters, each once.
    pub(super) fn clusters(&self) -> &[Cluster] {
        &self.0.clusters
    }

    /// A hash of the table of routes.
    pub(super) fn table(&self) -> &str {
        &self.0.table
    }

    /// Finds out what takes time to find out; to be waited for before [`collect`](Self::collect).
    pub(super) async fn prepare(&self) {
        self.0.sources.prepare().await;
    }

    /// All numbers, as they are now.
    pub(super) fn collect(&self) -> Samples {
        let inner = &*self.0;
        metrics::collect(&inner.requests, &inner.sources, |samples| {
            for cluster in &inner.clusters {
                cluster.measure(samples);
            }
            samples.add(&READY, &[], inner.question.reasons().is_empty());
            samples.add(&DRAINING, &[], inner.question.is_draining());
            let gateway = inner.name.map(|name| ("gateway", name));
            let labels = [
                ("version", env!("CARGO_PKG_VERSION")),
                ("routes", &*inner.table),
            ];
            let labels: Vec<_> = labels.into_iter().chain(gateway).collect();
            samples.add(&BUILD_INFO, &labels, 1_u64);
            samples.add(&ACCESS_LOG_LOST, &[], queue::ACCESS_LOG.lost());
            samples.add(&LOG_LOST, &[], queue::EVENTS.lost());
        })
    }
}

struct Answer(Awaited);

impl Handler for Answer {
    async fn call(&self, req: Request) -> Response {
        let format = Format::of_request(req.headers());
        let text = match self.0.get() {
            Some(measures) => {
                measures.prepare().await;
                Some(measures.collect().write(format))
            }
            None => None,
        };
        let mut response = Response::new(Body::from(text.unwrap_or_default()));
        let fields = response.headers_mut();
        let kind = HeaderValue::from_static(format.content_type());
        fields.insert(header::CONTENT_TYPE, kind);
        fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use crate::{
        cluster::FAMILIES,
        metrics::{ALL, Family, Kind},
    };

    /// The names of metrics in a query of Prometheus, each with the labels that its selector asks for.
    fn selectors(text: &str) -> Vec<(&str, Vec<&str>)> {
        let is_of_a_name = |char: char| char.is_ascii_alphanumeric() || matches!(char, '_' | ':');
        let mut found = Vec::new();
        let mut rest = text;
        while let Some(begin) = rest.find(is_of_a_name) {
            rest = &rest[begin..];
            let end = rest.find(|char| !is_of_a_name(char)).unwrap_or(rest.len());
            let (name, behind) = rest.split_at(end);
            rest = behind;
            let prefixes = ["prox_", "http_server_", "http_client_", "process_"];
            if !prefixes.into_iter().any(|prefix| name.starts_with(prefix)) {
                continue;
            }
            let labels = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
            let labels = labels.map_or("", |(labels, _)| labels);
            let labels = labels
                .split(',')
                .filter_map(|label| label.split(['=', '!']).next());
            found.push((name, labels.filter(|label| !label.is_empty()).collect()));
        }
        found
    }

    /// The metric of this name, or of this name of a part of a histogram.
    fn family(name: &str) -> Option<&'static Family> {
        let mut all = ALL.iter().copied().chain(FAMILIES);
        all.find(|family| {
            let part = name.strip_prefix(family.name);
            part == Some("")
                || (family.kind == Kind::Histogram
                    && matches!(part, Some("_bucket" | "_sum" | "_count")))
        })
    }

    #[test]
    fn dashboards_and_alerts_name_metrics_that_there_are() {
        let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
        for (file, least) in [
            ("grafana/prox.json", 20),
            ("prometheus/prox.rules.yaml", 10),
            ("prometheus/prox.test.yaml", 4),
        ] {
            let text = fs::read_to_string(deploy.join(file)).unwrap();
            let text = text.replace("\\\"", "\"");
            let mut names = BTreeSet::new();
            for (name, labels) in selectors(&text) {
                let family = family(name).unwrap_or_else(|| panic!("{file}: {name}"));
                for label in labels {
                    let known = ["job", "instance", "le"].contains(&label)
                        || family.labels.contains(&label);
                    assert!(known, "{file}: {label} of {name}");
                }
                names.insert(name);
            }
            assert!(names.len() >= least, "{file}: {names:?}");
        }
    }
}
