//! Metrics as text: Prometheus' format 0.0.4, and `OpenMetrics` 1.0.0.

use std::{
    collections::{BTreeSet, HashMap},
    fmt::Write,
    sync::Arc,
};

use http::{HeaderMap, header};

use super::{
    family::{ALL, Family, Kind, SERIES},
    foreign::{Foreign, Parsed},
    histogram::{Bounds, Histogram},
};

/// What metrics are written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Prometheus' text format 0.0.4.
    Text,
    /// `OpenMetrics` 1.0.0.
    OpenMetrics,
}

impl Format {
    /// The format that an `Accept` field asks for: `OpenMetrics` where it is named with at least the weight of the text format.
    fn of(accept: &str) -> Self {
        let mut text = None;
        let mut open = None;
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default();
            let weight = parts
                .find_map(|part| part.strip_prefix("q=")?.parse::<f32>().ok())
                .unwrap_or(1.0);
            let best = match kind {
                "application/openmetrics-text" => &mut open,
                "text/plain" | "text/*" | "*/*" => &mut text,
                _ => continue,
            };
            *best = Some(best.map_or(weight, |known: f32| known.max(weight)));
        }
        match (open, text) {
            (Some(open), _) if open <= 0.0 => Self::Text,
            (Some(open), Some(text)) if text > open => Self::Text,
            (Some(_), _) => Self::OpenMetrics,
            (None, _) => Self::Text,
        }
    }

    /// The format that a request asks for.
    pub(crate) fn of_request(headers: &HeaderMap) -> Self {
        let accept = headers.get_all(header::ACCEPT).iter();
        let accept: Vec<&str> = accept.filter_map(|value| value.to_str().ok()).collect();
        Self::of(&accept.join(","))
    }

    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// A label with its value.
pub(crate) type Label<'a> = (&'static str, &'a str);

/// Samples by family, in the order in which families came.
///
/// No sample is written twice: what is added for labels that are there already adds up, as for two backends of one name.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    families: Vec<Lines>,
    places: HashMap<&'static str, usize>,
    /// Those of the user's own, behind all others.
    foreign: Vec<Parsed>,
}

/// The samples of one family.
#[derive(Debug)]
struct Lines {
    family: &'static Family,
    values: Vec<(String, Number)>,
    places: HashMap<String, usize>,
}

impl Lines {
    fn known(&mut self, name: &str) -> Option<&mut Number> {
        let place = self.places.get(name)?;
        self.values.get_mut(*place).map(|(_, value)| value)
    }

    /// Adds to a sample, which is made if there is none.
    fn add(&mut self, name: &str, value: Number) {
        if let Some(known) = self.known(name) {
            known.add(value);
        } else {
            self.places.insert(name.to_owned(), self.values.len());
            self.values.push((name.to_owned(), value));
        }
    }
}

impl Samples {
    /// One sample of a counter or a gauge.
    pub(crate) fn add(
        &mut self,
        family: &'static Family,
        labels: &[Label<'_>],
        value: impl Into<Number>,
    ) {
        debug_assert!(family.kind != Kind::Histogram);
        self.line(family, "", labels, None, value.into());
    }

    /// All samples of one histogram.
    pub(crate) fn histogram(
        &mut self,
        family: &'static Family,
        labels: &[Label<'_>],
        histogram: &Histogram,
        bounds: &Bounds,
    ) {
        debug_assert!(family.kind == Kind::Histogram);
        for (bound, count) in histogram.cumulative(bounds) {
            self.line(family, "_bucket", labels, Some(bound), count.into());
        }
        self.line(family, "_sum", labels, None, histogram.seconds().into());
        self.line(family, "_count", labels, None, histogram.count().into());
    }

    /// One sample of a gauge, of which the least counts where several have the same labels.
    pub(crate) fn least(
        &mut self,
        family: &'static Family,
        labels: &[Label<'_>],
        value: impl Into<Number>,
    ) {
        debug_assert!(family.kind == Kind::Gauge);
        let (name, value) = (series(family, "", labels, None), value.into());
        let lines = self.of(family);
        match lines.known(&name) {
            Some(known) if known.real() <= value.real() => {}
            Some(known) => *known = value,
            None => lines.add(&name, value),
        }
    }

    /// Adds the families that these write, except those whose names are taken.
    pub(super) fn add_foreign(&mut self, all: &[Arc<Foreign>]) {
        if all.is_empty() {
            return;
        }
        let own = self.families.iter().map(|lines| lines.family);
        let own = own.chain(ALL.iter().copied()).flat_map(Family::names);
        let mut taken: BTreeSet<String> = own.collect();
        for foreign in all {
            self.foreign.extend(foreign.families(&mut taken));
        }
    }

    /// Adds the counters among other samples.
    pub(super) fn add_counters(&mut self, other: &Self) {
        for lines in &other.families {
            if lines.family.kind == Kind::Counter {
                for (name, value) in &lines.values {
                    self.of(lines.family).add(name, *value);
                }
            }
        }
    }

    fn line(
        &mut self,
        family: &'static Family,
        suffix: &str,
        labels: &[Label<'_>],
        bound: Option<&str>,
        value: Number,
    ) {
        let name = series(family, suffix, labels, bound);
        self.of(family).add(&name, value);
    }

    fn of(&mut self, family: &'static Family) -> &mut Lines {
        let place = *self.places.entry(family.name).or_insert_with(|| {
            self.families.push(Lines {
                family,
                values: Vec::new(),
                places: HashMap::new(),
            });
            self.families.len() - 1
        });
        &mut self.families[place]
    }

    /// The whole exposition.
    pub(crate) fn write(mut self, format: Format) -> String {
        let counts = self.families.iter().map(|lines| lines.values.len());
        let foreign = self.foreign.iter().map(Parsed::count).sum::<usize>();
        let count = counts.sum::<usize>() + foreign + 1;
        self.add(&SERIES, &[], count);
        let mut out = String::with_capacity(count * 128);
        for Lines { family, values, .. } in &self.families {
            let name = match format {
                Format::OpenMetrics => family.name.trim_end_matches("_total"),
                Format::Text => family.name,
            };
            // Writing to a `String` cannot fail.
            let _ = writeln!(out, "# HELP {name} {}", family.help);
            let _ = writeln!(out, "# TYPE {name} {}", family.kind.name());
            for (name, value) in values {
                let _ = match value {
                    Number::Whole(number) => writeln!(out, "{name} {number}"),
                    Number::Real(number) => writeln!(out, "{name} {number}"),
                };
            }
        }
        for family in &self.foreign {
            family.write(format, &mut out);
        }
        if format == Format::OpenMetrics {
            out.push_str("# EOF\n");
        }
        out
    }
}

/// The name of a sample, with its labels.
fn series(family: &Family, suffix: &str, labels: &[Label<'_>], bound: Option<&str>) -> String {
    let mut name = String::with_capacity(128);
    name.push_str(family.name);
    name.push_str(suffix);
    let mut opened = false;
    let bound = bound.map(|bound| ("le", bound));
    for (label, text) in labels.iter().copied().chain(bound) {
        debug_assert!(label == "le" || family.labels.contains(&label), "{label}");
        name.push(if opened { ',' } else { '{' });
        opened = true;
        name.push_str(label);
        name.push_str("=\"");
        escape(&mut name, text);
        name.push('"');
    }
    if opened {
        name.push('}');
    }
    name
}

/// A value of a sample.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Number {
    Whole(u64),
    Real(f64),
}

impl Number {
    fn add(&mut self, other: Self) {
        *self = match (*self, other) {
            (Self::Whole(one), Self::Whole(other)) => Self::Whole(one.saturating_add(other)),
            (one, other) => Self::Real(one.real() + other.real()),
        };
    }

    fn real(self) -> f64 {
        #[expect(
            clippy::cast_precision_loss,
            reason = "Prometheus keeps each value as a float"
        )]
        match self {
            Self::Whole(number) => number as f64,
            Self::Real(number) => number,
        }
    }
}

impl From<u64> for Number {
    fn from(number: u64) -> Self {
        Self::Whole(number)
    }
}

impl From<usize> for Number {
    fn from(number: usize) -> Self {
        Self::Whole(number as u64)
    }
}

impl From<f64> for Number {
    fn from(number: f64) -> Self {
        Self::Real(number)
    }
}

impl From<bool> for Number {
    fn from(holds: bool) -> Self {
        Self::Whole(holds.into())
    }
}

/// Both formats escape the same three characters in the value of a label.
fn escape(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::family::{OPEN_CONNECTIONS, REQUESTS};

    #[test]
    fn the_format_is_the_one_that_is_asked_for() {
        use Format::{OpenMetrics, Text};
        for (accept, format) in [
            ("", Text),
            ("*/*", Text),
            ("text/html", Text),
            ("application/openmetrics-text; version=1.0.0", OpenMetrics),
            (
                "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                OpenMetrics,
            ),
            ("application/openmetrics-text;q=0.1,text/plain;q=0.3", Text),
            ("application/openmetrics-text;q=0", Text),
            (
                "application/vnd.google.protobuf;q=0.7,application/openmetrics-text;q=0.6,*/*;q=0.1",
                OpenMetrics,
            ),
        ] {
            assert_eq!(Format::of(accept), format, "{accept}");
        }
    }

    #[test]
    fn families_are_whole_and_values_are_escaped() {
        let mut samples = Samples::default();
        samples.add(&REQUESTS, &[("host", "a\"\\\n")], 3_u64);
        samples.add(&OPEN_CONNECTIONS, &[], 1_usize);
        samples.add(&REQUESTS, &[("host", "b")], 4_u64);
        let text = samples.write(Format::OpenMetrics);
        let begin = format!(
            "# HELP prox_requests {}\n# TYPE prox_requests counter\n\
             prox_requests_total{{host=\"a\\\"\\\\\\n\"}} 3\nprox_requests_total{{host=\"b\"}} 4\n",
            REQUESTS.help
        );
        assert!(text.starts_with(&begin), "{text}");
        assert!(text.ends_with("prox_metrics_series 4\n# EOF\n"), "{text}");
    }

    #[test]
    fn what_is_there_already_adds_up() {
        let mut samples = Samples::default();
        samples.add(&REQUESTS, &[("host", "a")], 3_u64);
        samples.add(&REQUESTS, &[("host", "a")], 4_u64);
        let text = samples.write(Format::Text);
        assert!(
            text.contains("prox_requests_total{host=\"a\"} 7\n"),
            "{text}"
        );
        assert_eq!(text.matches("host=").count(), 1);
    }
}
