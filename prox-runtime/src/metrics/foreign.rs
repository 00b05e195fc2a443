//! Metrics of the user's own, as text of any library.

use std::{
    collections::BTreeSet,
    fmt::{self, Write},
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Mutex,
};

use super::exposition::Format;
use crate::sync::lock;

/// The most problems that are logged.
const TOLD: usize = 100;

/// What writes metrics of the user's own.
pub(crate) struct Foreign {
    write: Box<dyn Fn(&mut String) + Send + Sync>,
    /// The problems of its text that were logged.
    told: Mutex<BTreeSet<String>>,
}

impl fmt::Debug for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Foreign")
    }
}

/// A family of such metrics.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Parsed {
    /// A counter's is without `_total`.
    name: String,
    kind: Kind,
    /// Without escapes.
    help: Option<String>,
    samples: Vec<Sample>,
}

#[derive(Debug, PartialEq)]
struct Sample {
    name: String,
    /// Names, and values as they are escaped.
    labels: Vec<(String, String)>,
    value: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
    Summary,
    #[default]
    Unknown,
}

impl Kind {
    fn read(text: &str) -> Option<Self> {
        Some(match text {
            "counter" => Self::Counter,
            // These are gauges with the value 1.
            "gauge" | "info" | "stateset" => Self::Gauge,
            "histogram" => Self::Histogram,
            "summary" => Self::Summary,
            "untyped" | "unknown" => Self::Unknown,
            _ => return None,
        })
    }

    fn name(self, format: Format) -> &'static str {
        match (self, format) {
            (Self::Counter, _) => "counter",
            (Self::Gauge, _) => "gauge",
            (Self::Histogram, _) => "histogram",
            (Self::Summary, _) => "summary",
            (Self::Unknown, Format::Text) => "untyped",
            (Self::Unknown, Format::OpenMetrics) => "unknown",
        }
    }

    /// What the names of samples end with, behind the name of the family.
    fn ends(self) -> &'static [&'static str] {
        match self {
            Self::Counter => &["_total"],
            Self::Gauge | Self::Unknown => &[""],
            Self::Histogram => &["_bucket", "_sum", "_count"],
            Self::Summary => &["", "_sum", "_count"],
        }
    }
}

impl Foreign {
    pub(crate) fn new(write: impl Fn(&mut String) + Send + Sync + 'static) -> Self {
        Self {
            write: Box::new(write),
            told: Mutex::default(),
        }
    }

    /// The valid families of its text whose names are not `taken`. Each family that is left out is logged once.
    pub(super) fn families(&self, taken: &mut BTreeSet<String>) -> Vec<Parsed> {
        let mut text = String::new();
        let written = catch_unwind(AssertUnwindSafe(|| (self.write)(&mut text)));
        if written.is_err() {
            self.tell("all", "its function panicked");
            return Vec::new();
        }
        let mut good = Vec::new();
        for (name, family) in parse(&text) {
            let family = family.and_then(|family| {
                if family.names().any(|name| taken.contains(&name)) {
                    return Err("a metric of this name is there already".to_owned());
                }
                Ok(family)
            });
            match family {
                Ok(family) => {
                    taken.extend(family.names());
                    good.push(family);
                }
                Err(problem) => self.tell(&name, &problem),
            }
        }
        good
    }

    fn tell(&self, family: &str, problem: &str) {
        let mut told = lock(&self.told);
        if told.len() < TOLD && told.insert(format!("{family}: {problem}")) {
            tracing::warn!(target: "prox", family, problem, "metrics of your own are left out");
        }
    }
}

impl Parsed {
    /// The names that no other family may have.
    fn names(&self) -> impl Iterator<Item = String> {
        let ends = self.kind.ends().iter();
        let parts = ends.map(|end| format!("{}{end}", self.name));
        parts.chain([self.name.clone()])
    }

    /// How many samples it has.
    pub(super) fn count(&self) -> usize {
        self.samples.len()
    }

    pub(super) fn write(&self, format: Format, out: &mut String) {
        let name = match (self.kind, format) {
            (Kind::Counter, Format::Text) => format!("{}_total", self.name),
            _ => self.name.clone(),
        };
        // Writing to a `String` cannot fail.
        if let Some(help) = &self.help {
            let _ = write!(out, "# HELP {name} ");
            for c in help.chars() {
                match c {
                    '\\' => out.push_str("\\\\"),
                    '\n' => out.push_str("\\n"),
                    '"' if format == Format::OpenMetrics => out.push_str("\\\""),
                    c => out.push(c),
                }
            }
            out.push('\n');
        }
        let _ = writeln!(out, "# TYPE {name} {}", self.kind.name(format));
        for sample in &self.samples {
            let _ = writeln!(out, "{} {}", sample.series(format), sample.value);
        }
    }
}

impl Sample {
    fn series(&self, format: Format) -> String {
        let mut series = self.name.clone();
        for (place, (label, value)) in self.labels.iter().enumerate() {
            series.push(if place == 0 { '{' } else { ',' });
            let _ = write!(series, "{label}=\"");
            let is_number = matches!(&**label, "le" | "quantile");
            match value.parse::<f64>() {
                // `OpenMetrics` has a point in each of these.
                Ok(number) if is_number && number.is_finite() && format == Format::OpenMetrics => {
                    let _ = write!(series, "{number:?}");
                }
                _ => series.push_str(value),
            }
            series.push('"');
        }
        if !self.labels.is_empty() {
            series.push('}');
        }
        series
    }
}

/// The families of a text in either format, each with its name, or what is wrong with it.
fn parse(text: &str) -> Vec<(String, Result<Parsed, String>)> {
    let mut reader = Reader::default();
    for line in text.lines() {
        let line = line.trim();
        let read = match line.strip_prefix('#') {
            Some(comment) => reader.comment(comment.trim_start()),
            None if line.is_empty() => Ok(()),
            None => reader.sample(line),
        };
        if let Err(problem) = read {
            reader.problem.get_or_insert(problem);
        }
    }
    reader.end();
    reader.done
}

#[derive(Default)]
struct Reader {
    done: Vec<(String, Result<Parsed, String>)>,
    family: Parsed,
    /// The name of the family as it is written.
    written: String,
    /// What is wrong with the family.
    problem: Option<String>,
    series: BTreeSet<String>,
}

impl Reader {
    /// The family before is whole, and this one begins.
    fn begin(&mut self, written: &str) {
        self.end();
        written.clone_into(&mut self.written);
        written.clone_into(&mut self.family.name);
        if !is_name(written, true) {
            self.problem = Some(format!("malformed name {written:?}"));
        } else if self.done.iter().any(|(name, _)| name == written) {
            self.problem = Some("its lines are not together".to_owned());
        }
    }

    fn end(&mut self) {
        self.series.clear();
        let (family, name) = (mem::take(&mut self.family), mem::take(&mut self.written));
        let problem = self.problem.take();
        if let Some(problem) = problem {
            self.done.push((name, Err(problem)));
        } else if !family.samples.is_empty() {
            self.done.push((name, Ok(family)));
        }
    }

    fn comment(&mut self, comment: &str) -> Result<(), String> {
        let mut words = comment.splitn(3, ' ');
        let (Some(word), Some(name)) = (words.next(), words.next()) else {
            // `EOF`, or a word for people.
            return Ok(());
        };
        let rest = words.next().unwrap_or_default();
        if !matches!(word, "HELP" | "TYPE" | "UNIT") {
            return Ok(());
        }
        if self.written != name || !self.family.samples.is_empty() {
            self.begin(name);
        }
        match word {
            "HELP" => self.family.help = Some(plain(rest)),
            "TYPE" => {
                let kind = Kind::read(rest.trim());
                let kind = kind.ok_or_else(|| format!("unknown type {rest:?}"))?;
                let base = name.strip_suffix("_total");
                (self.family.kind, self.family.name) = match (kind, base) {
                    (Kind::Counter, Some(base)) => (kind, base.to_owned()),
                    _ if rest.trim() == "info" => (kind, format!("{name}_info")),
                    _ => (kind, name.to_owned()),
                };
            }
            _ => {}
        }
        Ok(())
    }

    fn sample(&mut self, line: &str) -> Result<(), String> {
        let end = line.find(['{', ' ', '\t']).unwrap_or(line.len());
        let (name, mut rest) = line.split_at(end);
        if !self.has(name) {
            self.begin(name);
        }
        let malformed = || format!("malformed line {line:?}");
        let mut labels = Vec::new();
        if let Some(inside) = rest.strip_prefix('{') {
            (labels, rest) = read_labels(inside).ok_or_else(malformed)?;
        }
        // An exemplar is left out.
        let rest = rest.split(" # ").next().unwrap_or_default();
        let mut words = rest.split_whitespace();
        let value = words.next().ok_or_else(malformed)?;
        if words.next().is_some() {
            return Err(format!("a sample has a time of its own: {line:?}"));
        }
        if value.parse::<f64>().is_err() {
            return Err(malformed());
        }
        if name.strip_suffix("_created") == Some(&*self.family.name) {
            // The other format has no such sample.
            return Ok(());
        }
        let mut sample = Sample {
            name: name.to_owned(),
            labels,
            value: value.to_owned(),
        };
        if self.family.kind == Kind::Counter && name == self.family.name {
            // The older format lets a counter have any name; `OpenMetrics` does not.
            self.family.kind = Kind::Unknown;
        }
        if self.family.kind == Kind::Histogram
            && name.ends_with("_bucket")
            && !sample.labels.iter().any(|(label, _)| label == "le")
        {
            return Err(format!("a bucket has no bound: {line:?}"));
        }
        sample.labels.sort();
        if !self.series.insert(sample.series(Format::OpenMetrics)) {
            return Err(format!("duplicate sample {line:?}"));
        }
        self.family.samples.push(sample);
        Ok(())
    }

    /// Whether a sample of this name is one of the family.
    fn has(&self, name: &str) -> bool {
        if self.written.is_empty() {
            return false;
        }
        let family = &self.family;
        let Some(end) = name.strip_prefix(&*family.name) else {
            return false;
        };
        family.kind.ends().contains(&end)
            || (family.kind == Kind::Counter && end.is_empty() && family.name == self.written)
            || (end == "_created" && !matches!(family.kind, Kind::Gauge | Kind::Unknown))
    }
}

/// Labels up to the closing brace, and what is behind that.
pub(crate) fn read_labels(mut rest: &str) -> Option<(Vec<(String, String)>, &str)> {
    let mut labels: Vec<(String, String)> = Vec::new();
    loop {
        rest = rest.trim_start();
        if let Some(behind) = rest.strip_prefix('}') {
            return Some((labels, behind));
        }
        let (name, value) = rest.split_once('=')?;
        let name = name.trim();
        let value = value.trim_start().strip_prefix('"')?;
        let mut escaped = false;
        let end = value.find(|c| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        })?;
        if !is_name(name, false) || labels.iter().any(|(known, _)| known == name) {
            return None;
        }
        labels.push((name.to_owned(), value[..end].to_owned()));
        rest = value[end + 1..].trim_start();
        match rest.strip_prefix(',') {
            Some(behind) => rest = behind,
            None if rest.starts_with('}') => {}
            None => return None,
        }
    }
}

fn is_name(name: &str, colons: bool) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || (colons && c == ':');
    !name.is_empty() && name.chars().all(fits) && !name.starts_with(|c: char| c.is_ascii_digit())
}

/// A text without its escapes.
fn plain(escaped: &str) -> String {
    let mut text = String::with_capacity(escaped.len());
    let mut chars = escaped.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, true) => match chars.next() {
                Some('n') => text.push('\n'),
                Some(c @ ('\\' | '"')) => text.push(c),
                Some(other) => text.extend(['\\', other]),
                None => text.push('\\'),
            },
            (c, false) => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &'static str, format: Format) -> String {
        let foreign = Foreign::new(move |out| out.push_str(text));
        let mut out = String::new();
        for family in foreign.families(&mut BTreeSet::new()) {
            family.write(format, &mut out);
        }
        out
    }

    fn told(text: &'static str, taken: &[&str]) -> Vec<String> {
        let foreign = Foreign::new(move |out| out.push_str(text));
        for _ in 0..2 {
            let mut taken = taken.iter().map(|&name| name.to_owned()).collect();
            foreign.families(&mut taken);
        }
        let told = lock(&foreign.told);
        told.iter().cloned().collect()
    }

    #[test]
    fn both_formats_are_read_and_written() {
        let text = "# HELP jobs_total Jobs \"done\".\n# TYPE jobs_total counter\njobs_total{queue=\"a\\\"b\"} 3\n\
            # TYPE depth gauge\ndepth 2.5\n\
            # TYPE took histogram\ntook_bucket{le=\"1\"} 1\ntook_bucket{le=\"+Inf\"} 2\ntook_sum 3\ntook_count 2\n\
            loose 1\n";
        let open = "# HELP jobs Jobs \\\"done\\\".\n# TYPE jobs counter\njobs_total{queue=\"a\\\"b\"} 3\n\
            # TYPE depth gauge\ndepth 2.5\n\
            # TYPE took histogram\ntook_bucket{le=\"1.0\"} 1\ntook_bucket{le=\"+Inf\"} 2\ntook_sum 3\ntook_count 2\n\
            # TYPE loose unknown\nloose 1\n";
        assert_eq!(written(text, Format::OpenMetrics), open);
        let again = written(open, Format::Text);
        let text = text.replace("loose", "# TYPE loose untyped\nloose");
        assert_eq!(again, text.replace("le=\"1\"", "le=\"1.0\""));
    }

    #[test]
    fn what_only_one_format_has_is_brought_to_both() {
        let text = "# TYPE a counter\n# UNIT a seconds\na_total 1.0 # {trace_id=\"x\"} 0.5\na_created 1600000000\n\
            # TYPE build info\nbuild_info{version=\"1\"} 1\n# EOF\n";
        assert_eq!(
            written(text, Format::Text),
            "# TYPE a_total counter\na_total 1.0\n# TYPE build_info gauge\nbuild_info{version=\"1\"} 1\n"
        );
        let unnamed = "# TYPE old counter\nold 1\n";
        assert_eq!(
            written(unnamed, Format::OpenMetrics),
            "# TYPE old unknown\nold 1\n"
        );
    }

    #[test]
    fn what_is_left_out_is_told_once_and_the_rest_stays() {
        for (text, taken, problem) in [
            ("a 1\nb x\nc 1\n", &[][..], "b: malformed line \"b x\""),
            ("a 1\nb{x=1} 1\n", &[], "b: malformed line"),
            ("a 1\nb{x=\"1} 1\n", &[], "b: malformed line"),
            ("a 1\nb{x=\"1\",x=\"2\"} 1\n", &[], "b: malformed line"),
            ("a 1\n1b 1\n", &[], "1b: malformed name \"1b\""),
            (
                "a 1\nb 1 1600000000\n",
                &[],
                "b: a sample has a time of its own",
            ),
            ("a 1\n# TYPE b odd\nb 1\n", &[], "b: unknown type \"odd\""),
            (
                "b 1\na 1\nb{x=\"1\"} 2\n",
                &[],
                "b: its lines are not together",
            ),
            (
                "a 1\nb{x=\"1\",y=\"2\"} 1\nb{y=\"2\",x=\"1\"} 1\n",
                &[],
                "b: duplicate sample",
            ),
            (
                "a 1\n# TYPE b histogram\nb_bucket 1\n",
                &[],
                "b: a bucket has no bound",
            ),
            (
                "a 1\nb 1\n",
                &["b"],
                "b: a metric of this name is there already",
            ),
            (
                "a 1\n# TYPE b gauge\nb 1\n# TYPE b_total counter\nb_total 1\n",
                &[],
                "b_total: a metric of this name",
            ),
            ("a 1\nb_sum 1\n", &["b_sum"], "b_sum: a metric of this name"),
        ] {
            let told = told(text, taken);
            assert!(
                matches!(&told[..], [one] if one.starts_with(problem)),
                "{text}: {told:?}"
            );
            assert!(written(text, Format::Text).contains("a 1\n"), "{text}");
        }
        let panics = Foreign::new(|_| panic!("on purpose"));
        assert_eq!(panics.families(&mut BTreeSet::new()), []);
    }
}
