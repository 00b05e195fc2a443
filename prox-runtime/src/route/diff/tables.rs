//! Two tables side by side: all lists of candidates that a request can meet in them.

use std::{
    cell::Cell,
    collections::{HashMap, HashSet},
};

use super::{
    super::accepts::Accepts,
    ask::{Asked, Combination, MOST_COMBINATIONS, MethodSet, methods},
    hosts::sites,
    pattern::Pattern,
    row::Row,
    walk::{Number, Trie, Walk},
    witness::RouteWitness,
};

/// Two tables; either can be empty.
pub(super) struct Tables<'r> {
    pub(super) rows: [&'r [Row]; 2],
    patterns: [Vec<Pattern>; 2],
    methods: [Vec<MethodSet>; 2],
    /// Equal rows of both have equal numbers: what they match, and what they do.
    matching: [Vec<usize>; 2],
    doing: [Vec<usize>; 2],
    /// How many states and combinations were looked at.
    steps: Cell<usize>,
}

/// A row of one of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    table: usize,
    row: usize,
}

/// The rows that could take the requests for a path, in the order in which they are asked.
pub(super) struct Candidates<'a> {
    tables: &'a Tables<'a>,
    pub(super) listener: &'a str,
    pub(super) host: &'a str,
    pub(super) path: String,
    lists: [Vec<usize>; 2],
}

/// What the two tables do with a request: the winner of each.
pub(super) type Pair = [Option<usize>; 2];

/// How sure it is that the tables differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Sure {
    Yes,
    /// It depends on guards that only a real request can ask.
    No,
}

impl<'r> Tables<'r> {
    pub(super) fn new(rows: [&'r [Row]; 2]) -> Self {
        let mut matches: HashMap<(&MethodSet, &Option<Accepts>), usize> = HashMap::new();
        let mut does: HashMap<(&str, &[String], &[String]), usize> = HashMap::new();
        let methods = rows.map(method_sets);
        let mut matching = [Vec::new(), Vec::new()];
        let mut doing = [Vec::new(), Vec::new()];
        let sides = rows.iter().zip(&methods).zip(&mut matching).zip(&mut doing);
        for (((rows, methods), matching), doing) in sides {
            for (row, methods) in rows.iter().zip(methods) {
                let next = matches.len();
                matching.push(*matches.entry((methods, &row.accepts)).or_insert(next));
                let next = does.len();
                let does_what = (row.target.as_str(), &*row.layers, &*row.made);
                doing.push(*does.entry(does_what).or_insert(next));
            }
        }
        Self {
            rows,
            patterns: rows.map(|rows| rows.iter().map(Pattern::of).collect()),
            methods,
            matching,
            doing,
            steps: Cell::new(0),
        }
    }

    /// How many states and combinations were looked at.
    #[cfg(test)]
    pub(super) fn steps(&self) -> usize {
        self.steps.get()
    }

    fn step(&self, count: usize) {
        self.steps.set(self.steps.get() + count);
    }

    /// Shows all lists of candidates, each once for the rows that serve a host.
    ///
    /// # Errors
    ///
    /// The host whose patterns overlap in too many ways.
    pub(super) fn each(&self, show: &mut dyn FnMut(Candidates<'_>)) -> Result<(), String> {
        let mut seen: HashSet<[Vec<usize>; 2]> = HashSet::new();
        for site in sites(self.rows) {
            if !seen.insert(site.rows.clone()) {
                continue;
            }
            let mut order: Vec<(usize, bool, u64, usize)> = Vec::new();
            for (table, rows) in site.rows.iter().enumerate() {
                let own = site.own.get(table).copied().unwrap_or(0);
                for (place, row) in rows.iter().enumerate() {
                    let rank = self.row(table, *row).map_or(0, |row| row.rank);
                    order.push((table, place >= own, rank, *row));
                }
            }
            order.sort_unstable();
            let order: Vec<Entry> = order
                .into_iter()
                .map(|(table, _, _, row)| Entry { table, row })
                .collect();
            let patterns = order.iter().enumerate().filter_map(|(number, entry)| {
                let pattern = self.patterns.get(entry.table)?.get(entry.row)?;
                Some((Number::try_from(number).ok()?, pattern))
            });
            let trie = Trie::new(patterns);
            let entry = |number: Number| order.get(number as usize).copied();
            let cut = |list: &mut Vec<Number>| {
                let mut ended = [false, false];
                list.retain(|number| {
                    let Some(entry) = entry(*number) else {
                        return false;
                    };
                    let ends = self.takes_all(entry);
                    let Some(ended) = ended.get_mut(entry.table) else {
                        return false;
                    };
                    let keep = !*ended;
                    *ended |= ends;
                    keep
                });
            };
            let states = Walk::new(&trie, &cut).run(&mut |list, path| {
                let mut lists = [Vec::new(), Vec::new()];
                for entry in list.iter().filter_map(|number| entry(*number)) {
                    if let Some(list) = lists.get_mut(entry.table) {
                        list.push(entry.row);
                    }
                }
                show(Candidates {
                    tables: self,
                    listener: &site.listener,
                    host: &site.host,
                    path,
                    lists,
                });
            });
            let states = states.ok_or_else(|| match site.host.as_str() {
                "" => String::from("every host that no route names"),
                host => host.to_owned(),
            })?;
            self.step(states);
        }
        Ok(())
    }

    fn row(&self, table: usize, row: usize) -> Option<&'r Row> {
        self.rows.get(table)?.get(row)
    }

    /// Whether no candidate behind it is asked.
    fn takes_all(&self, Entry { table, row }: Entry) -> bool {
        let guarded = self.row(table, row).is_none_or(|row| row.accepts.is_some());
        !guarded && self.methods_of(table, row).is_none()
    }

    fn methods_of(&self, table: usize, row: usize) -> Option<&MethodSet> {
        self.methods
            .get(table)?
            .get(row)
            .filter(|set| set.is_some())
    }

    /// Whether two rows, or the lack of one, do the same with a request.
    fn same(&self, pair: Pair) -> bool {
        let [was, now] = [0, 1].map(|table| {
            let row = pair.get(table).copied().flatten()?;
            self.doing.get(table)?.get(row).copied()
        });
        was == now
    }
}

impl Candidates<'_> {
    /// Shows each class of requests that the two tables treat otherwise, or may.
    pub(super) fn each_difference(&self, show: &mut dyn FnMut(Sure, Pair, RouteWitness)) {
        if self.is_alike() {
            return;
        }
        for method in self.methods() {
            let lists = [0, 1].map(|table| self.asked(table, &method));
            let now = opaque(self.guards(&lists, 1));
            let mut shared = opaque(self.guards(&lists, 0));
            shared.retain(|text| now.contains(text));
            let guards = || self.guards(&lists, 0).chain(self.guards(&lists, 1));
            let differing =
                |guard: &&Accepts| guard.opaque().is_some_and(|text| !shared.contains(&text));
            let known = Asked::of(guards().filter(|guard| !differing(guard)));
            let unknown = Asked::of(guards().filter(differing));
            let count = known.count().saturating_mul(unknown.count());
            self.tables.step(count.min(MOST_COMBINATIONS));
            if count > MOST_COMBINATIONS {
                let first =
                    [0, 1].map(|table| lists.get(table).and_then(|list| list.first().copied()));
                let witness = known.combination(0);
                show(Sure::No, first, self.witness(&witness, &method));
                continue;
            }
            for number in 0..known.count() {
                let known = known.combination(number);
                let mut pairs: Vec<(Pair, Combination)> = Vec::new();
                let mut alike = false;
                for number in 0..unknown.count() {
                    let all = known.with(unknown.combination(number));
                    let pair = [0, 1].map(|table| self.winner(&lists, table, &all));
                    if self.tables.same(pair) {
                        alike = true;
                    } else {
                        pairs.push((pair, all));
                    }
                }
                let sure = if alike { Sure::No } else { Sure::Yes };
                for (pair, all) in pairs {
                    show(sure, pair, self.witness(&all, &method));
                }
            }
        }
    }

    /// Shows each row of the first table that takes a request, with that.
    pub(super) fn each_winner(&self, show: &mut dyn FnMut(usize, RouteWitness)) {
        for method in self.methods() {
            let lists = [self.asked(0, &method), Vec::new()];
            let asked = Asked::of(self.guards(&lists, 0));
            for number in 0..asked.count().min(MOST_COMBINATIONS) {
                let all = asked.combination(number);
                if let Some(row) = self.winner(&lists, 0, &all) {
                    show(row, self.witness(&all, &method));
                }
            }
        }
    }

    /// Whether both tables ask the same of a request, and do the same with it.
    fn is_alike(&self) -> bool {
        let [was, now] = [0, 1].map(|table| {
            let rows = self.lists.get(table).into_iter().flatten();
            rows.map(move |row| {
                let number = |of: &[Vec<usize>; 2]| of.get(table)?.get(*row).copied();
                (number(&self.tables.matching), number(&self.tables.doing))
            })
        });
        was.eq(now)
    }

    fn methods(&self) -> Vec<String> {
        let sets = [0, 1].into_iter().flat_map(|table| {
            let rows = self.lists.get(table).into_iter().flatten();
            rows.filter_map(move |row| self.tables.methods_of(table, *row))
        });
        methods(sets)
    }

    /// The rows that are asked for a request with this method, up to one without a guard.
    fn asked(&self, table: usize, method: &str) -> Vec<usize> {
        let mut asked = Vec::new();
        for row in self.lists.get(table).into_iter().flatten() {
            let set = self.tables.methods_of(table, *row);
            if set.is_some_and(|set| !set.iter().flatten().any(|name| name == method)) {
                continue;
            }
            asked.push(*row);
            if self.guard(table, *row).is_none() {
                break;
            }
        }
        asked
    }

    fn guard(&self, table: usize, row: usize) -> Option<&Accepts> {
        self.tables.row(table, row)?.accepts.as_ref()
    }

    fn guards<'s>(
        &'s self,
        lists: &'s [Vec<usize>; 2],
        table: usize,
    ) -> impl Iterator<Item = &'s Accepts> {
        let rows = lists.get(table).into_iter().flatten();
        rows.filter_map(move |row| self.guard(table, *row))
    }

    fn winner(&self, lists: &[Vec<usize>; 2], table: usize, all: &Combination) -> Option<usize> {
        let mut rows = lists.get(table)?.iter().copied();
        rows.find(|row| {
            self.guard(table, *row)
                .is_none_or(|guard| all.passes(guard))
        })
    }

    fn witness(&self, all: &Combination, method: &str) -> RouteWitness {
        all.witness(method, self.listener, self.host, &self.path)
    }
}

/// The source texts of guards that only a real request can decide.
fn opaque<'a>(guards: impl Iterator<Item = &'a Accepts>) -> Vec<&'a str> {
    guards.filter_map(Accepts::opaque).collect()
}

/// The methods of each row: one that names `GET` takes `HEAD` too, unless a row of the same pattern and hosts names `HEAD`.
fn method_sets(rows: &[Row]) -> Vec<MethodSet> {
    let place = |row: &Row| {
        let Pattern { segments, tail } = Pattern::of(row);
        let segments: Vec<String> = segments.iter().map(|one| format!("{one:?}")).collect();
        (row.listener.clone(), row.hosts.clone(), segments, tail)
    };
    let names = |row: &Row, name: &str| row.methods.iter().any(|method| method == name);
    let heads = rows.iter().filter(|row| names(row, "HEAD"));
    let heads: HashSet<_> = heads.map(place).collect();
    let sets = rows.iter().map(|row| {
        if names(row, "*") {
            return None;
        }
        let mut set: std::collections::BTreeSet<String> = row.methods.iter().cloned().collect();
        if names(row, "GET") && !heads.contains(&place(row)) {
            set.insert(String::from("HEAD"));
        }
        Some(set)
    });
    sets.collect()
}
