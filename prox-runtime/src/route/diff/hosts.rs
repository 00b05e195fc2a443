//! The hosts that two tables tell apart, and the rows that each of them is served by.

use std::collections::{BTreeMap, BTreeSet};

use super::row::Row;

/// The rows of one table for one listener alone, or for every listener, by host.
#[derive(Default)]
struct Blocks<'r>(BTreeMap<&'r str, Vec<usize>>);

impl<'r> Blocks<'r> {
    fn of(rows: &'r [Row], listener: &str) -> Self {
        let mut blocks = Self::default();
        let own = rows.iter().enumerate();
        for (place, row) in own.filter(|(_, row)| row.listener == listener) {
            for host in &row.hosts {
                blocks.0.entry(host).or_default().push(place);
            }
        }
        blocks
    }

    /// The rows of the exact name, else of the longest suffix, else of every other host.
    fn find(&self, host: &str) -> &[usize] {
        let dots = host.match_indices('.').map(|(at, _)| at);
        let suffixes = dots.filter(|at| *at > 0);
        let found = self.0.get(host).or_else(|| {
            suffixes
                .filter_map(|at| host.get(at..))
                .find_map(|suffix| self.0.get(format!("*{suffix}").as_str()))
        });
        found.or_else(|| self.0.get("_")).map_or(&[], Vec::as_slice)
    }
}

/// A place that requests come to, and the rows that serve it.
pub(super) struct Site {
    /// Empty for any listener without routes of its own.
    pub(super) listener: String,
    /// Empty for every host that no row names.
    pub(super) host: String,
    /// The rows of each table: those for the listener alone first.
    pub(super) rows: [Vec<usize>; 2],
    /// How many of the rows are for the listener alone.
    pub(super) own: [usize; 2],
}

/// All places that the tables tell apart.
pub(super) fn sites(tables: [&[Row]; 2]) -> Vec<Site> {
    let rows = || tables.iter().flat_map(|rows| rows.iter());
    let mut listeners: BTreeSet<&str> = rows().map(|row| row.listener.as_str()).collect();
    listeners.insert("");
    let every = tables.map(|rows| Blocks::of(rows, ""));
    let mut sites = Vec::new();
    for listener in listeners {
        let own = match listener {
            "" => [Blocks::default(), Blocks::default()],
            listener => tables.map(|rows| Blocks::of(rows, listener)),
        };
        let blocks = own.iter().chain(&every);
        let names: BTreeSet<&str> = blocks.flat_map(|blocks| blocks.0.keys().copied()).collect();
        for host in hosts(&names) {
            let mut rows = [Vec::new(), Vec::new()];
            let mut counts = [0, 0];
            let lists = own.iter().zip(&every).zip(&mut rows).zip(&mut counts);
            for (((own, every), rows), count) in lists {
                rows.extend(own.find(&host));
                *count = rows.len();
                rows.extend(every.find(&host));
            }
            sites.push(Site {
                listener: listener.to_owned(),
                host,
                rows,
                own: counts,
            });
        }
    }
    sites
}

/// Each exact name, a name below each suffix, and none of them.
fn hosts(names: &BTreeSet<&str>) -> Vec<String> {
    let mut hosts = vec![String::new()];
    for name in names.iter().filter(|name| **name != "_") {
        let Some(suffix) = name.strip_prefix("*.") else {
            hosts.push((*name).to_owned());
            continue;
        };
        let labels = (0_u32..).map(|number| match number {
            0 => String::from("any"),
            number => format!("any{number}"),
        });
        let examples = labels.map(|label| format!("{label}.{suffix}"));
        let mut free = examples.filter(|host| !names.contains(host.as_str()));
        hosts.extend(free.next());
    }
    hosts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(listener: &str, host: &str) -> Row {
        let mut row = Row::from(&crate::route::RouteInfo::EMPTY);
        row.listener = listener.to_owned();
        row.hosts = host.split('|').map(str::to_owned).collect();
        row
    }

    #[test]
    fn a_host_is_served_by_the_narrowest_block_of_each_listener() {
        let rows = [
            row("", "_"),
            row("", "a.b|*.b"),
            row("", "any.b"),
            row("in", "_"),
        ];
        let found: Vec<(String, String, Vec<usize>)> = sites([&rows, &[]])
            .into_iter()
            .map(|site| {
                let [rows, _] = site.rows;
                (site.listener, site.host, rows)
            })
            .collect();
        let site = |listener: &str, host: &str, rows: &[usize]| {
            (listener.to_owned(), host.to_owned(), rows.to_vec())
        };
        assert_eq!(
            found,
            [
                site("", "", &[0]),
                site("", "any1.b", &[1]),
                site("", "a.b", &[1]),
                site("", "any.b", &[2]),
                site("in", "", &[3, 0]),
                site("in", "any1.b", &[3, 1]),
                site("in", "a.b", &[3, 1]),
                site("in", "any.b", &[3, 2]),
            ]
        );
    }
}
