//! What differs, as text for people and as JSON.

use std::fmt;

use super::{ChangeKind, RouteChange, RouteDiff, row::Row};
use crate::coding::quoted;

/// Each change with the request that stands for it, and the routes that took it and take it; then how many of each kind.
impl fmt::Display for RouteDiff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return writeln!(f, "no request fares otherwise");
        }
        for change in &self.changes {
            write!(f, "{change}")?;
        }
        let counts = ChangeKind::ALL.map(|kind| {
            let of_kind = self.changes.iter().filter(|change| change.kind == kind);
            (of_kind.count(), kind.name())
        });
        let counts: Vec<String> = counts
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, name)| format!("{count} {name}"))
            .collect();
        writeln!(f, "{}", counts.join(", "))
    }
}

impl fmt::Display for RouteChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<8}{}", self.kind.name(), self.witness)?;
        for (word, row) in [("was", &self.was), ("now", &self.now)] {
            let Some(row) = row else {
                writeln!(f, "  {word}   no route: 404 or 405")?;
                continue;
            };
            let (pattern, target) = (row.pattern(), &row.target);
            writeln!(
                f,
                "  {word}   {pattern} => {target} ({}:{})",
                row.file, row.line
            )?;
        }
        if let (Some(was), Some(now)) = (&self.was, &self.now) {
            if was.layers != now.layers {
                writeln!(f, "  was   through {}", layers(was))?;
                writeln!(f, "  now   through {}", layers(now))?;
            }
            for line in was.made.iter().filter(|line| !now.made.contains(line)) {
                writeln!(f, "  was   {line}")?;
            }
            for line in now.made.iter().filter(|line| !was.made.contains(line)) {
                writeln!(f, "  now   {line}")?;
            }
        }
        match self.count {
            0 | 1 => Ok(()),
            2 => writeln!(f, "  and 1 more class of requests"),
            count => writeln!(f, "  and {} more classes of requests", count - 1),
        }
    }
}

fn layers(row: &Row) -> String {
    match row.layers.as_slice() {
        [] => String::from("no layer"),
        layers => layers.join(", "),
    }
}

impl RouteDiff {
    /// The changes as JSON: an object with a list for each kind, `lost`, `gained`, `moved`, `treated` and `unsure`.
    ///
    /// | key of a change | value |
    /// |---|---|
    /// | `witness` | a request that stands for the others: `method`, `url`, `headers`, `client`, `listener`, `guards` |
    /// | `was`, `now` | the route with `route`, `target`, `layers`, `made`, `file` and `line`; `null` if no route took or takes it |
    /// | `count` | how many classes of requests it stands for |
    pub fn to_json(&self) -> String {
        let kinds = ChangeKind::ALL.map(|kind| {
            let of_kind = self.changes.iter().filter(|change| change.kind == kind);
            let changes: Vec<String> = of_kind.map(change).collect();
            let changes = match changes.as_slice() {
                [] => String::new(),
                changes => format!("\n    {}\n  ", changes.join(",\n    ")),
            };
            format!("  \"{}\":[{changes}]", kind.name())
        });
        format!("{{\n{}\n}}\n", kinds.join(",\n"))
    }
}

fn change(change: &RouteChange) -> String {
    let row = |row: &Option<Row>| row.as_ref().map_or(String::from("null"), route);
    format!(
        "{{\"witness\":{},\"was\":{},\"now\":{},\"count\":{}}}",
        change.witness.to_json(),
        row(&change.was),
        row(&change.now),
        change.count
    )
}

fn route(row: &Row) -> String {
    let list = |texts: &[String]| {
        let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
        texts.join(",")
    };
    format!(
        "{{\"route\":{},\"target\":{},\"layers\":[{}],\"made\":[{}],\"file\":{},\"line\":{}}}",
        quoted(&row.pattern()),
        quoted(&row.target),
        list(&row.layers),
        list(&row.made),
        quoted(&row.file),
        row.line
    )
}
