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

/// The samples of one family, by their labels.
#[derive(Debug)]
struct Lines {
    family: &'static Family,
    values: Vec<(String, Value)>,
    places: HashMap<String, usize>,
}

/// What is known for some labels.
#[derive(Debug)]
enum Value {
    Number(Number),
    /// With the bounds as they are written. It has a line for each of them, and three more.
    Histogram(Histogram, Arc<[String]>),
}

impl Lines {
    fn known(&mut self, labels: &str) -> Option<&mut Value> {
        let place = self.places.get(labels)?;
        self.values.get_mut(*place).map(|(_, value)| value)
    }

    fn insert(&mut self, labels: &str, value: Value) {
        self.places.insert(labels.to_owned(), self.values.len());
        self.values.push((labels.to_owned(), value));
    }

    /// Adds to a sample, which is made if there is none.
    fn add(&mut self, labels: &str, value: Number) {
        match self.known(labels) {
            Some(Value::Number(known)) => known.add(value),
            Some(Value::Histogram(..)) => {}
            None => self.insert(labels, Value::Number(value)),
        }
    }

    /// How many lines these are.
    fn count(&self) -> usize {
        let counts = self.values.iter().map(|(_, value)| match value {
            Value::Number(_) => 1,
            Value::Histogram(_, bounds) => bounds.len() + 3,
        });
        counts.sum()
    }

    fn write(&self, out: &mut String) {
        let name = self.family.name;
        for (labels, value) in &self.values {
            match value {
                Value::Number(value) => line(out, [name, ""], labels, None, *value),
                Value::Histogram(histogram, bounds) => {
                    for (bound, count) in histogram.cumulative(bounds) {
                        line(out, [name, "_bucket"], labels, Some(bound), count.into());
                    }
                    let sum = histogram.seconds().into();
                    line(out, [name, "_sum"], labels, None, sum);
                    let count = histogram.count().into();
                    line(out, [name, "_count"], labels, None, count);
                }
            }
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
        let (labels, value) = (text_of(family, labels), value.into());
        self.of(family).add(&labels, value);
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
        let labels = text_of(family, labels);
        let lines = self.of(family);
        match lines.known(&labels) {
            Some(Value::Histogram(known, texts)) if texts == bounds.texts() => {
                known.merge(histogram);
            }
            // Classes of other bounds cannot be added.
            Some(_) => {}
            None => {
                let texts = Arc::clone(bounds.texts());
                lines.insert(&labels, Value::Histogram(histogram.clone(), texts));
            }
        }
    }

    /// One sample of a gauge, of which the least counts where several have the same labels.
    pub(crate) fn least(
        &mut self,
        family: &'static Family,
        labels: &[Label<'_>],
        value: impl Into<Number>,
    ) {
        debug_assert!(family.kind == Kind::Gauge);
        let (labels, value) = (text_of(family, labels), value.into());
        let lines = self.of(family);
        match lines.known(&labels) {
            Some(Value::Number(known)) if known.real() > value.real() => *known = value,
            Some(_) => {}
            None => lines.add(&labels, value),
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
                for (labels, value) in &lines.values {
                    if let Value::Number(value) = value {
                        self.of(lines.family).add(labels, *value);
                    }
                }
            }
        }
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
        let counts = self.families.iter().map(Lines::count);
        let foreign = self.foreign.iter().map(Parsed::count).sum::<usize>();
        let count = counts.sum::<usize>() + foreign + 1;
        self.add(&SERIES, &[], count);
        let mut out = String::with_capacity(count * 128);
        for lines in &self.families {
            let family = lines.family;
            let name = match format {
                Format::OpenMetrics => family.name.trim_end_matches("_total"),
                Format::Text => family.name,
            };
            // Writing to a `String` cannot fail.
            let _ = writeln!(out, "# HELP {name} {}", family.help);
            let _ = writeln!(out, "# TYPE {name} {}", family.kind.name());
            lines.write(&mut out);
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

/// The labels of a sample as they are written, without braces.
fn text_of(family: &Family, labels: &[Label<'_>]) -> String {
    let mut text = String::with_capacity(96);
    for (label, value) in labels.iter().copied() {
        debug_assert!(family.labels.contains(&label), "{label}");
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(label);
        text.push_str("=\"");
        escape(&mut text, value);
        text.push('"');
    }
    text
}

/// Writes one sample. The parts of a name make one, and a bound is a label behind the others.
fn line(out: &mut String, name: [&str; 2], labels: &str, bound: Option<&str>, value: Number) {
    for part in name {
        out.push_str(part);
    }
    if !labels.is_empty() || bound.is_some() {
        out.push('{');
        out.push_str(labels);
        if let Some(bound) = bound {
            out.push_str(if labels.is_empty() { "le=\"" } else { ",le=\"" });
            out.push_str(bound);
            out.push('"');
        }
        out.push('}');
    }
    out.push(' ');
    // Writing to a `String` cannot fail.
    let _ = match value {
        Number::Whole(0) => {
            out.push('0');
            Ok(())
        }
        Number::Whole(number) => write!(out, "{number}"),
        Number::Real(number) => write!(out, "{number}"),
    };
    out.push('\n');
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
    if !text.contains(['\\', '"', '\n']) {
        return out.push_str(text);
    }
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
    use crate::metrics::family::{OPEN_CONNECTIONS, QUEUE_DURATION, REQUESTS};

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
    fn a_histogram_has_a_line_for_each_bound_and_adds_up() {
        let bounds = Bounds::new(&[0.5, 2.0]).unwrap();
        let mut samples = Samples::default();
        for _ in 0..2 {
            let histogram = Histogram::of(&bounds, &[1_000_000_000, 3_000_000_000]);
            samples.histogram(&QUEUE_DURATION, &[("backend", "a")], &histogram, &bounds);
        }
        let name = QUEUE_DURATION.name;
        let wanted = format!(
            "{name}_bucket{{backend=\"a\",le=\"0.5\"}} 0\n{name}_bucket{{backend=\"a\",le=\"2.0\"}} 2\n\
             {name}_bucket{{backend=\"a\",le=\"+Inf\"}} 4\n{name}_sum{{backend=\"a\"}} 8\n\
             {name}_count{{backend=\"a\"}} 4\n"
        );
        let text = samples.write(Format::Text);
        assert!(text.contains(&wanted), "{text}");
        assert!(text.ends_with("prox_metrics_series 6\n"), "{text}");
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
