//! The hosts of gateways that take some of them from the environment.
//!
//! A table has the hosts that are written in the gateway, and the literal defaults of variables. Where a variable has another value,
//! all hosts of that table are here, and the table is asked for paths alone.

use super::{Host, table::Table};

/// The hosts of one table that are written in the gateway, and the variables that are hosts, each with the number of its tree.
pub type HostNames = (
    &'static [(&'static str, u32)],
    &'static [(&'static str, u32)],
);

/// The hosts of each table whose variables have other values than the defaults in the table.
#[derive(Debug, Default)]
pub(crate) struct Hosts(Vec<Named>);

/// The hosts of one table, sorted by name, with the numbers of their trees.
#[derive(Debug)]
pub(super) struct Named {
    table: &'static Table,
    exact: Vec<(Box<str>, u32)>,
    suffixes: Vec<(Box<str>, u32)>,
}

impl Hosts {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes over those of a mounted gateway.
    pub(crate) fn extend(&mut self, other: Self) {
        for named in other.0 {
            if self.of(named.table).is_none() {
                self.0.push(named);
            }
        }
    }

    /// Sets the hosts of a table and of its listeners from the values of variables. A variable without a value has no host.
    /// Returns what is wrong with them.
    pub(crate) fn set(
        &mut self,
        table: &'static Table,
        value: &impl Fn(&str) -> Option<Host>,
    ) -> Vec<String> {
        let mut problems = Vec::new();
        for table in table.with_tables_of_listeners() {
            for problem in self.set_one(table, value) {
                if !problems.contains(&problem) {
                    problems.push(problem);
                }
            }
        }
        problems
    }

    fn set_one(
        &mut self,
        table: &'static Table,
        value: &impl Fn(&str) -> Option<Host>,
    ) -> Vec<String> {
        let (written, variables) = table.host_names();
        if variables.is_empty() {
            return Vec::new();
        }
        let mut named = Named {
            table,
            exact: Vec::new(),
            suffixes: Vec::new(),
        };
        let mut known: Vec<(Box<str>, String)> = Vec::new();
        for (host, tree) in written {
            named.add(host, *tree);
            known.push(((*host).into(), format!("`host \"{host}\"`")));
        }
        let mut problems = Vec::new();
        let mut as_written = true;
        for (variable, tree) in variables {
            let Some(host) = value(variable) else {
                as_written = false;
                continue;
            };
            let host = host.as_str();
            if let Some((_, first)) = known.iter().find(|(known, _)| **known == *host) {
                problems.push(format!(
                    "{variable} is {host:?}: duplicate host `{host}`; the first is {first}"
                ));
                continue;
            }
            as_written &= table.tree_of_name(host) == Some(*tree);
            named.add(host, *tree);
            known.push((host.into(), (*variable).to_owned()));
        }
        if !as_written {
            named.exact.sort_unstable();
            named.suffixes.sort_unstable();
            self.0.push(named);
        }
        problems
    }

    /// The hosts of a table; `None` if it has the hosts that it was written with.
    pub(super) fn of(&self, table: &Table) -> Option<&Named> {
        self.0.iter().find(|named| std::ptr::eq(named.table, table))
    }
}

impl Named {
    fn add(&mut self, host: &str, tree: u32) {
        match host.strip_prefix("*.") {
            Some(suffix) => self.suffixes.push((suffix.into(), tree)),
            None => self.exact.push((host.into(), tree)),
        }
    }

    /// The number of the tree for a host: that of the exact name, else of the longest suffix.
    pub(super) fn tree(&self, host: &str) -> Option<u32> {
        let find = |list: &[(Box<str>, u32)], name: &str| {
            let place = list.binary_search_by(|(known, _)| (**known).cmp(name));
            list.get(place.ok()?).map(|(_, tree)| *tree)
        };
        let dots = host.match_indices('.').map(|(at, _)| at);
        let mut suffixes = dots.filter(|at| *at > 0 && !self.suffixes.is_empty());
        find(&self.exact, host)
            .or_else(|| suffixes.find_map(|dot| find(&self.suffixes, host.get(dot + 1..)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: Table = Table::new("", &[], &[], &[], &[], &[]);

    fn host(text: &str) -> Host {
        text.parse().expect("a host")
    }

    #[test]
    fn the_exact_name_wins_and_then_the_longest_suffix() {
        static TABLE: Table = EMPTY.with_host_names((&[("*.a.b", 1)], &[("API", 2), ("ALL", 3)]));
        static OTHER: Table = EMPTY;
        let mut hosts = Hosts::default();
        let problems = hosts.set(&TABLE, &|name| {
            Some(host(if name == "API" { "api.a.b" } else { "*.b" }))
        });
        assert!(problems.is_empty());
        for (asked, tree) in [
            ("api.a.b", Some(2)),
            ("x.a.b", Some(1)),
            ("x.b", Some(3)),
            ("b", None),
            ("", None),
            (".b", None),
        ] {
            let named = hosts.of(&TABLE).expect("it has values");
            assert_eq!(named.tree(asked), tree, "{asked}");
        }
        assert!(hosts.of(&OTHER).is_none());
    }

    #[test]
    fn each_duplicate_is_named_with_the_first() {
        const INTERNAL: Table = EMPTY.with_host_names((&[], &[("TWO", 1), ("THREE", 2)]));
        static TABLE: Table = EMPTY
            .with_host_names((&[("a.b", 1)], &[("ONE", 2), ("TWO", 3), ("THREE", 4)]))
            .with_listeners(&[("internal", INTERNAL)]);
        let mut hosts = Hosts::default();
        let problems = hosts.set(&TABLE, &|name| {
            Some(host(if name == "ONE" { "a.b" } else { "c.d" }))
        });
        assert_eq!(
            problems,
            [
                "ONE is \"a.b\": duplicate host `a.b`; the first is `host \"a.b\"`",
                "THREE is \"c.d\": duplicate host `c.d`; the first is TWO",
            ]
        );
    }

    #[test]
    fn a_variable_without_a_value_has_no_host() {
        static TABLE: Table = EMPTY.with_host_names((&[("a.b", 1)], &[("ONE", 2)]));
        let mut hosts = Hosts::default();
        assert!(hosts.set(&TABLE, &|_| None).is_empty());
        let named = hosts.of(&TABLE).expect("it has values");
        assert_eq!((named.tree("a.b"), named.tree("c.d")), (Some(1), None));
    }
}
