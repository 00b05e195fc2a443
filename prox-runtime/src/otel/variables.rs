//! What the variables of OpenTelemetry say about traces.

use std::time::Duration;

use http::{HeaderName, HeaderValue};

use super::collector::Address;
use crate::{
    coding,
    observe::traces::{Bounds, Root},
};

/// The protocol that is spoken.
const PROTOCOL: &str = "http/protobuf";

/// Where all signals go, unless a signal has a variable of its own.
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// What traces are made with.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(super) root: Root,
    /// Whether the flag of a parent decides.
    pub(super) parents: bool,
    pub(super) bounds: Bounds,
    /// How long a span waits for others that are exported with it.
    pub(super) delay: Duration,
    /// None if the spans go to a provider of the user's own.
    pub(super) collector: Option<Collector>,
}

/// Where spans go, and as whose.
#[derive(Debug)]
pub(super) struct Collector {
    pub(super) address: Address,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) timeout: Duration,
    pub(super) gzip: bool,
    /// A file with the roots that the collector's certificate is verified by.
    pub(super) roots: Option<String>,
    pub(super) service: Option<String>,
    pub(super) resource: Vec<(String, String)>,
}

/// Where variables come from.
type Source<'a> = &'a dyn Fn(&str) -> Result<Option<String>, String>;

/// Reads variables, and collects what is wrong with them.
struct Reader<'a> {
    source: Source<'a>,
    problems: Vec<String>,
}

impl Settings {
    /// Reads them; nothing if traces are off. `provided` says whether the user has given a provider.
    ///
    /// # Errors
    ///
    /// All that is wrong.
    pub(crate) fn read(source: Source<'_>, provided: bool) -> Result<Option<Self>, Vec<String>> {
        let mut reader = Reader {
            source,
            problems: Vec::new(),
        };
        let settings = reader.settings(provided);
        if reader.problems.is_empty() {
            Ok(settings)
        } else {
            Err(reader.problems)
        }
    }
}

impl Reader<'_> {
    fn settings(&mut self, provided: bool) -> Option<Settings> {
        let disabled = self.text("OTEL_SDK_DISABLED");
        // As the specification has it: all but "true" is false.
        if disabled.is_some_and(|text| text.eq_ignore_ascii_case("true")) {
            return None;
        }
        let url = if provided { None } else { Some(self.url()?) };
        let (root, parents) = self.sampler();
        let most = self.number("OTEL_BSP_MAX_QUEUE_SIZE", 2048);
        let batch = self.number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512);
        let delay = self.number("OTEL_BSP_SCHEDULE_DELAY", 5000);
        if batch > most {
            self.problems.push(format!(
                "OTEL_BSP_MAX_EXPORT_BATCH_SIZE is {batch}: it must not be above OTEL_BSP_MAX_QUEUE_SIZE, which is {most}"
            ));
        }
        let collector = url.and_then(|url| self.collector(url));
        Some(Settings {
            root,
            parents,
            bounds: Bounds {
                most: usize::try_from(most).unwrap_or(usize::MAX),
                batch: usize::try_from(batch).unwrap_or(usize::MAX),
            },
            delay: Duration::from_millis(delay),
            // One that is missing has been reported.
            collector,
        })
    }

    /// The URL of the collector, which turns traces on, with its variable.
    fn url(&mut self) -> Option<(&'static str, String)> {
        match self.text("OTEL_TRACES_EXPORTER").as_deref() {
            None | Some("otlp") => {}
            Some("none") => return None,
            Some(other) => self.problems.push(format!(
                "OTEL_TRACES_EXPORTER is {other:?}: expected `otlp` or `none`; for another exporter give a provider to `Server::tracer_provider`"
            )),
        }
        let own = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
        if let Some(url) = self.text(own) {
            return Some((own, url));
        }
        Some((ENDPOINT, self.text(ENDPOINT)?))
    }

    fn collector(&mut self, (name, url): (&str, String)) -> Option<Collector> {
        let path = if name == ENDPOINT { "v1/traces" } else { "" };
        let address = self.keep(name, Address::read(&url, path));
        let (name, protocol) = self.signal("PROTOCOL");
        if let Some(protocol) = protocol.filter(|protocol| protocol != PROTOCOL) {
            self.problems.push(format!(
                "{name} is {protocol:?}: only `{PROTOCOL}` is spoken; set {name}={PROTOCOL}, and the endpoint to the collector's port for it, by default 4318"
            ));
        }
        let (name, headers) = self.signal("HEADERS");
        let headers = headers.map(|text| read_headers(&text));
        let headers = headers.and_then(|headers| self.keep(&name, headers));
        let (name, timeout) = self.signal("TIMEOUT");
        let timeout = timeout.map(|text| positive(&text));
        let timeout = timeout.and_then(|timeout| self.keep(&name, timeout));
        let (name, compression) = self.signal("COMPRESSION");
        let gzip = match compression.as_deref() {
            None | Some("none") => false,
            Some("gzip") => true,
            Some(other) => {
                self.problems
                    .push(format!("{name} is {other:?}: expected `gzip` or `none`"));
                false
            }
        };
        let (name, roots) = self.signal("CERTIFICATE");
        if roots.is_some() && address.as_ref().is_some_and(|address| !address.is_secure()) {
            self.problems.push(format!(
                "{name} is set, but the endpoint begins with http://: write https://, or unset {name}"
            ));
        }
        let name = "OTEL_RESOURCE_ATTRIBUTES";
        let resource = self.text(name).map(|text| read_pairs(&text));
        let resource = resource.and_then(|resource| self.keep(name, resource));
        let service = self.text("OTEL_SERVICE_NAME");
        Some(Collector {
            address: address?,
            headers: headers.unwrap_or_default(),
            timeout: Duration::from_millis(timeout.unwrap_or(10_000)),
            gzip,
            roots,
            service,
            resource: resource.unwrap_or_default(),
        })
    }

    fn sampler(&mut self) -> (Root, bool) {
        let name = "OTEL_TRACES_SAMPLER";
        let text = self.text(name);
        let text = text.as_deref().unwrap_or("parentbased_always_on");
        let (based, root) = match text.strip_prefix("parentbased_") {
            Some(root) => (true, root),
            None => (false, text),
        };
        let root = match root {
            "always_on" => Root::Always,
            "always_off" => Root::Never,
            "traceidratio" => Root::Ratio(self.ratio()),
            _ => {
                self.problems.push(format!(
                    "{name} is {text:?}: expected `always_on`, `always_off` or `traceidratio`, or one of them behind `parentbased_`"
                ));
                Root::Never
            }
        };
        (root, based)
    }

    fn ratio(&mut self) -> f64 {
        let name = "OTEL_TRACES_SAMPLER_ARG";
        let Some(text) = self.text(name) else {
            return 1.0;
        };
        let ratio = text
            .parse()
            .ok()
            .filter(|ratio| (0.0..=1.0).contains(ratio));
        let ratio = ratio.ok_or_else(|| "expected a number from 0 to 1, such as 0.1".to_owned());
        let ratio = ratio.map_err(|problem| format!("is {text:?}: {problem}"));
        self.keep(name, ratio).unwrap_or_default()
    }

    /// A variable for traces, or else the one for all signals, with its name.
    fn signal(&mut self, what: &str) -> (String, Option<String>) {
        let own = format!("OTEL_EXPORTER_OTLP_TRACES_{what}");
        if let Some(text) = self.text(&own) {
            return (own, Some(text));
        }
        let name = format!("OTEL_EXPORTER_OTLP_{what}");
        let text = self.text(&name);
        (name, text)
    }

    fn number(&mut self, name: &str, default: u64) -> u64 {
        let Some(text) = self.text(name) else {
            return default;
        };
        self.keep(name, positive(&text)).unwrap_or(default)
    }

    fn text(&mut self, name: &str) -> Option<String> {
        match (self.source)(name) {
            Ok(text) => text
                .map(|text| text.trim().to_owned())
                .filter(|text| !text.is_empty()),
            Err(problem) => {
                self.problems.push(problem);
                None
            }
        }
    }

    fn keep<T>(&mut self, name: &str, read: Result<T, String>) -> Option<T> {
        read.map_err(|problem| self.problems.push(format!("{name} {problem}")))
            .ok()
    }
}

fn positive(text: &str) -> Result<u64, String> {
    let number = text.parse().ok().filter(|&number: &u64| number > 0);
    number.ok_or_else(|| format!("is {text:?}: expected a whole number above 0"))
}

/// Reads `name=value,other=value`. The values may be secrets, and are in no message.
fn read_headers(text: &str) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    let pairs = read_pairs(text)?;
    let headers = pairs.into_iter().map(|(name, value)| {
        let field = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| format!("has {name:?}, which is not a name of a header"))?;
        let value = HeaderValue::try_from(value)
            .map_err(|_| format!("has a value of `{name}` that no header can have"))?;
        Ok((field, value))
    });
    headers.collect()
}

/// Reads `name=value,other=value`, with values that are percent-encoded.
fn read_pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let entries = text.split(',').map(str::trim);
    let entries = entries.filter(|entry| !entry.is_empty()).enumerate();
    let pairs = entries.map(|(place, entry)| {
        let pair = entry
            .split_once('=')
            .map(|(name, value)| (name.trim(), value.trim()));
        let (name, value) = pair.filter(|(name, _)| !name.is_empty()).ok_or_else(|| {
            let place = place + 1;
            format!("has no `name=value` as its entry {place}: write name=value,other=value")
        })?;
        let value = decoded(value)
            .ok_or_else(|| format!("has a value of `{name}` that is not percent-encoded UTF-8"))?;
        Ok((name.to_owned(), value))
    });
    pairs.collect()
}

/// Takes a percent-encoding off.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut plain = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'%' => coding::byte(bytes.next()?, bytes.next()?)?,
            byte => byte,
        });
    }
    String::from_utf8(plain).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Option<Settings>, Vec<String>> {
        let source = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            Ok(found.map(|(_, value)| (*value).to_owned()))
        };
        Settings::read(&source, false)
    }

    const SET: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");

    #[test]
    fn an_endpoint_turns_them_on() {
        let off: [&[(&str, &str)]; 5] = [
            &[],
            &[
                ("OTEL_SERVICE_NAME", "shop"),
                ("OTEL_TRACES_SAMPLER", "odd"),
            ],
            &[SET, ("OTEL_SDK_DISABLED", "True")],
            &[SET, ("OTEL_TRACES_EXPORTER", "none")],
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")],
        ];
        for variables in off {
            assert!(read(variables).unwrap().is_none(), "{variables:?}");
        }
        let on = read(&[SET, ("OTEL_SDK_DISABLED", "no")]).unwrap().unwrap();
        assert_eq!((on.root, on.parents), (Root::Always, true));
        let collector = on.collector.unwrap();
        assert_eq!(
            collector.address.to_string(),
            "http://127.0.0.1:4318/v1/traces"
        );
        assert_eq!(collector.timeout, Duration::from_secs(10));
        assert_eq!(
            (on.bounds.most, on.bounds.batch, on.delay),
            (2048, 512, Duration::from_secs(5))
        );
    }

    #[test]
    fn what_is_for_traces_wins() {
        let settings = read(&[
            SET,
            (
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
                "http://traces.test/own?x=1",
            ),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=1"),
            (
                "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
                "authorization=Bearer%20x%3D, b = 2",
            ),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "1"),
            ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "250"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_TRACES_SAMPLER", "traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
            ("OTEL_SERVICE_NAME", "shop"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.version=1.2,team=a%2Cb"),
        ]);
        let settings = settings.unwrap().unwrap();
        assert_eq!(
            (settings.root, settings.parents),
            (Root::Ratio(0.25), false)
        );
        let collector = settings.collector.unwrap();
        assert_eq!(
            collector.address.to_string(),
            "http://traces.test:80/own?x=1"
        );
        let headers = collector
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
        assert_eq!(
            headers.collect::<Vec<_>>(),
            [("authorization", "Bearer x="), ("b", "2")]
        );
        assert_eq!(collector.timeout, Duration::from_millis(250));
        assert!(collector.gzip);
        assert_eq!(collector.resource[1], ("team".to_owned(), "a,b".to_owned()));
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once_with_what_to_write() {
        let problems = read(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "hunter2"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
            ("OTEL_RESOURCE_ATTRIBUTES", "a=%zz"),
            ("OTEL_TRACES_EXPORTER", "zipkin"),
            ("OTEL_TRACES_SAMPLER", "xray"),
            ("OTEL_BSP_SCHEDULE_DELAY", "-1"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "1"),
        ])
        .unwrap_err();
        assert_eq!(problems.len(), 10, "{problems:#?}");
        let all = problems.join("\n");
        for part in [
            "OTEL_EXPORTER_OTLP_ENDPOINT is \"localhost:4318\": expected a URL such as http://localhost:4318",
            "set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
            "OTEL_EXPORTER_OTLP_HEADERS has no `name=value` as its entry 1",
            "OTEL_EXPORTER_OTLP_TIMEOUT is \"10s\": expected a whole number above 0",
            "OTEL_TRACES_SAMPLER is \"xray\": expected `always_on`",
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE is 512",
        ] {
            assert!(all.contains(part), "{part}\n{all}");
        }
        assert!(!all.contains("hunter2"), "{all}");
    }

    #[test]
    fn a_ratio_is_from_0_to_1() {
        for text in ["1.5", "-0.1", "NaN", "10%"] {
            let variables = [
                SET,
                ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
                ("OTEL_TRACES_SAMPLER_ARG", text),
            ];
            let problems = read(&variables).unwrap_err();
            assert!(
                problems[0].contains("expected a number from 0 to 1"),
                "{problems:?}"
            );
        }
    }

    #[test]
    fn the_address_of_a_collector_is_a_url() {
        for (text, problem) in [
            ("ftp://a", "expected a URL"),
            ("http://", "expected a URL"),
            ("http://a:0", "expected a URL"),
            ("http://a:99999", "expected a URL"),
            ("http://user:hunter2@a", "user information"),
        ] {
            let problems = read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", text)]).unwrap_err();
            assert!(problems[0].contains(problem), "{text}: {problems:?}");
            assert!(!problems[0].contains("hunter2"), "{problems:?}");
        }
        let path = |text| {
            let settings = read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", text)])
                .unwrap()
                .unwrap();
            settings.collector.unwrap().address.to_string()
        };
        assert_eq!(path("http://a/base/"), "http://a:80/base/v1/traces");
        assert_eq!(
            path("http://[::1]:4318/base"),
            "http://[::1]:4318/base/v1/traces"
        );
    }
}
