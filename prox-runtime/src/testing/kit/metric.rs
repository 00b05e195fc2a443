//! Reads one number out of all metrics.

use crate::metrics::read_labels;

/// Names, and values as they are escaped.
type Labels = Vec<(String, String)>;

/// A sample: its name, its labels, its value.
struct Sample<'t> {
    name: &'t str,
    labels: Labels,
    value: f64,
}

/// The sum of all samples of a name that have these labels: `prox_backend_retried_total{backend="users"}`.
///
/// # Errors
///
/// Why there is none, with what there is.
pub(super) fn read(text: &str, wanted: &str) -> Result<f64, String> {
    let Some((name, labels)) = head(wanted) else {
        return Err(format!(
            "`{wanted}` is not a metric: expected `name`, or `name{{label=\"value\"}}`"
        ));
    };
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let samples: Vec<Sample<'_>> = samples.filter_map(sample).collect();
    let own: Vec<&Sample<'_>> = samples.iter().filter(|one| one.name == name).collect();
    if own.is_empty() {
        let mut names: Vec<&str> = samples.iter().map(|one| one.name).collect();
        names.dedup();
        return Err(format!(
            "there is no metric `{name}`, but: {}",
            names.join(", ")
        ));
    }
    for (label, _) in &labels {
        let mut known = own.iter().flat_map(|one| &one.labels);
        if !known.any(|(name, _)| name == label) {
            return Err(format!("the metric `{name}` has no label `{label}`"));
        }
    }
    let fits = |one: &&&Sample<'_>| labels.iter().all(|label| one.labels.contains(label));
    Ok(own.iter().filter(fits).map(|one| one.value).sum())
}

fn sample(line: &str) -> Option<Sample<'_>> {
    let end = line.rfind(' ')?;
    let (name, labels) = head(&line[..end])?;
    let value = line[end + 1..].parse().ok()?;
    Some(Sample {
        name,
        labels,
        value,
    })
}

/// The name and the labels.
fn head(text: &str) -> Option<(&str, Labels)> {
    let text = text.trim();
    let Some((name, labels)) = text.split_once('{') else {
        return (!text.is_empty() && !text.contains(['"', ' '])).then_some((text, Vec::new()));
    };
    let (labels, behind) = read_labels(labels)?;
    behind.is_empty().then_some((name, labels))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP a_total Things.\na_total{x=\"1\",y=\"a,\\\"b\"} 2\na_total{x=\"2\",y=\"c\"} 3\nb 1.5\n";

    #[test]
    fn samples_with_the_labels_are_added_up() {
        for (wanted, value) in [
            ("b", 1.5),
            ("a_total", 5.0),
            ("a_total{x=\"2\"}", 3.0),
            ("a_total{y=\"a,\\\"b\",x=\"1\"}", 2.0),
            ("a_total{x=\"3\"}", 0.0),
        ] {
            assert_eq!(read(TEXT, wanted), Ok(value), "{wanted}");
        }
    }

    #[test]
    fn what_is_not_there_is_an_error() {
        for (wanted, error) in [
            ("c", "there is no metric `c`, but: a_total, b"),
            ("a_total{z=\"1\"}", "the metric `a_total` has no label `z`"),
            ("b 1", "is not a metric"),
            ("a_total{x}", "is not a metric"),
        ] {
            let found = read(TEXT, wanted).unwrap_err();
            assert!(found.contains(error), "{wanted}: {found}");
        }
    }
}
